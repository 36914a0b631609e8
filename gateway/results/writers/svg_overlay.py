"""A picture with the boxes of what was read on it, as one SVG that loads nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from gateway.results.scans.picture import smallest_picture
from gateway.results.scans.sheets import Sheet
from gateway.results.words import Language, say
from gateway.results.writers.safe_text import xml_text

#: Colours of lines: as usual, where the two readers differ or the model doubts, and where a person
#: has looked.
_USUAL, _DOUBTFUL, _CHECKED = "#0a66c2", "#c2410c", "#15803d"
#: Of things that were looked for, each label in turn.
_LABELS = ("#7c3aed", "#0a66c2", "#15803d", "#c2410c", "#be185d", "#0e7490")
_DOUBT = 0.85


def write_svg(sheet: Sheet, png: bytes, title: str, language: Language) -> bytes:
    """Return the drawing in the unit of the sheet; a line has its text as title."""
    return "".join(_parts(sheet, png, title, language)).encode("utf-8", "replace")


def _parts(sheet: Sheet, png: bytes, title: str, language: Language) -> Iterator[str]:
    width, height = _number(sheet.width), _number(sheet.height)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    yield f'viewBox="0 0 {width} {height}">\n<title>{_safe(title)}</title>\n'
    picture = smallest_picture(png)
    data = base64.b64encode(picture.data).decode("ascii")
    yield f'<image width="{width}" height="{height}" preserveAspectRatio="none" '
    yield f'href="data:image/{picture.kind};base64,{data}"/>\n'
    stroke = _number(max(sheet.width, sheet.height) / 800)
    yield f'<g fill-opacity="0.12" stroke-width="{stroke}">\n'
    for line in sheet.lines:
        if line.get("box"):
            yield _polygon(line["polygon"], _title(line, "text", language), _colour(line))
    labels = list(dict.fromkeys(one["label"] for one in sheet.objects))
    for one in sheet.objects:
        colour = _LABELS[labels.index(one["label"]) % len(_LABELS)]
        title = _title(one, "label", language)
        yield from (_polygon(corners, title, colour) for corners in _outlines(one))
    yield "</g>\n</svg>\n"


def _outlines(one: Mapping[str, Any]) -> Sequence[Sequence[Sequence[float]]]:
    """Return the corners of an object, or of each part of a broken one."""
    left, top, right, bottom = one["box"]
    upright = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return one.get("parts") or [one.get("polygon") or upright]


def _title(one: Mapping[str, Any], said: str, language: Language) -> str:
    """Return what a place says, and what was read there before a person corrected it."""
    if "before" not in one:
        return str(one[said])
    return say("corrected", language, text=one[said], before=one["before"])


def _colour(line: Mapping[str, Any]) -> str:
    if line.get("checked"):
        return _CHECKED
    return _DOUBTFUL if _is_doubtful(line) else _USUAL


def _polygon(corners: Sequence[Sequence[float]], text: str, colour: str) -> str:
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in corners)
    title = f"<title>{_safe(text)}</title>"
    return f'<polygon points="{points}" fill="{colour}" stroke="{colour}">{title}</polygon>\n'


def _is_doubtful(line: Mapping[str, Any]) -> bool:
    known = [line.get(name) for name in ("confidence", "agreement")]
    return any(value is not None and value < _DOUBT for value in known)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _safe(text: str) -> str:
    return escape(xml_text(text))

"""How a child's answers travel: the types of `model` as JSON and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from shared.documents.model import (
    Box,
    DocumentInfo,
    DocumentKind,
    PageFigure,
    PageInfo,
    PageText,
    RenderedPage,
    TextDoubt,
    TextLine,
    TextWord,
)


def dump_info(info: DocumentInfo) -> bytes:
    """Return what is known of a document as JSON."""
    return json.dumps(dataclasses.asdict(info)).encode()


def load_info(body: bytes) -> DocumentInfo:
    """Return what `dump_info` wrote."""
    fields = json.loads(body)
    pages = tuple(
        PageInfo(**page | {"text_doubt": _doubt(page["text_doubt"])}) for page in fields["pages"]
    )
    names = tuple(fields["attached_names"])
    typed = {"kind": DocumentKind(fields["kind"]), "pages": pages, "attached_names": names}
    return DocumentInfo(**fields | typed)


def dump_text(text: PageText) -> bytes:
    """Return a page's text as JSON."""
    # `asdict` would take a quarter of the time that the whole page takes
    fields = {field.name: getattr(text, field.name) for field in dataclasses.fields(text)}
    fields["lines"] = [_dump_line(line) for line in text.lines]
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")


def _dump_line(line: TextLine) -> list[Any]:
    words = [(word.text, _hundredths(word.box)) for word in line.words]
    return [line.text, _hundredths(line.box), words, line.rotation]


def _hundredths(box: Box) -> list[float]:
    return [round(side, 2) for side in box]


def load_text(body: bytes) -> PageText:
    """Return what `dump_text` wrote."""
    fields = json.loads(body)
    lines = tuple(_line(line) for line in fields["lines"])
    figures = tuple(_box(sides) for sides in fields["figures"])
    doubt = _doubt(fields["doubt"])
    return PageText(**fields | {"lines": lines, "figures": figures, "doubt": doubt})


def page_header(page: RenderedPage) -> dict[str, Any]:
    """Return a picture's fields but for the picture itself."""
    fields = {field.name: getattr(page, field.name) for field in dataclasses.fields(page)}
    fields.pop("png")
    return fields


def load_page(header: dict[str, Any], png: bytes) -> RenderedPage:
    """Return the picture whose fields `page_header` gave."""
    return RenderedPage(**header | {"png": png, "warnings": tuple(header["warnings"])})


def figures_header(figures: Sequence[PageFigure] | None) -> dict[str, Any]:
    """Return what is known of figures but for their pictures, which follow one another."""
    if figures is None:
        return {"figures": None}
    return {"figures": [[one.box, len(one.jpeg), one.behind] for one in figures]}


def load_figures(header: dict[str, Any], jpegs: bytes) -> list[PageFigure] | None:
    """Return the figures whose fields `figures_header` gave."""
    if header["figures"] is None:
        return None
    figures, begin = [], 0
    for (left, top, right, bottom), length, behind in header["figures"]:
        jpeg = jpegs[begin : begin + length]
        figures.append(PageFigure((left, top, right, bottom), jpeg, behind))
        begin += length
    return figures


def _doubt(name: str | None) -> TextDoubt | None:
    return TextDoubt(name) if name else None


def _line(fields: list[Any]) -> TextLine:
    text, box, words, rotation = fields
    return TextLine(text, _box(box), tuple(TextWord(t, _box(b)) for t, b in words), rotation)


def _box(sides: list[float]) -> Box:
    x0, y0, x1, y1 = sides
    return x0, y0, x1, y1

"""A result as hOCR: the lines and words of each page with their boxes, for archives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from gateway.results.scans.plain_words import is_row, plain_text
from gateway.results.scans.sheets import Sheet
from gateway.results.words import Language
from gateway.results.writers.safe_text import xml_text

#: hOCR has whole pixels: points of a PDF become those of a scan at 300 to the inch.
_DPI, _POINTS = 300, 72
_LANGUAGE = {"en": "en", "zh": "zh-Hans"}


def write_hocr(sheets: Sequence[Sheet], title: str, language: Language) -> bytes:
    """Return the page, which is XHTML."""
    return "".join(_parts(sheets, title, language)).encode("utf-8", "replace")


def _parts(sheets: Sequence[Sheet], title: str, language: Language) -> Iterator[str]:
    code = _LANGUAGE[language]
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n'
    yield f'<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="{code}" lang="{code}">\n<head>\n'
    yield f'<title>{_safe(title)}</title>\n<meta charset="utf-8"/>\n'
    yield '<meta name="ocr-system" content="Sightline"/>\n'
    yield '<meta name="ocr-capabilities" content="ocr_page ocr_line ocrx_word ocrp_wconf"/>\n'
    yield f'<meta name="ocr-number-of-pages" content="{len(sheets)}"/>\n</head>\n<body>\n'
    for place, sheet in enumerate(sheets):
        yield from _sheet(sheet, place)
    yield "</body>\n</html>\n"


def _sheet(sheet: Sheet, place: int) -> Iterator[str]:
    scale = _DPI / _POINTS if sheet.has_points else 1.0
    size = _bbox((0, 0, sheet.width, sheet.height), scale)
    number = place + 1
    dpi = f"; scan_res {_DPI} {_DPI}" if scale != 1.0 else ""
    title = f"{size}; ppageno {sheet.number - 1}{dpi}"
    yield f'<div class="ocr_page" id="page_{number}" title="{title}">\n'
    for count, line in enumerate(sheet.lines, start=1):
        yield _line(line, f"{number}_{count}", scale)
    yield "</div>\n"


def _line(line: Mapping[str, Any], number: str, scale: float) -> str:
    row = is_row(line["text"])
    if not line.get("box"):
        # no class of hOCR: each of those has a box
        return f'<span class="unplaced">{_safe(plain_text(line["text"], row=row))}</span><br/>\n'
    words = [part for part in line.get("words") or () if plain_text(part["text"], row=row)]
    text = _safe(plain_text(line["text"], row=row))
    if words and all(word["box"] for word in words):
        text = " ".join(
            _word(word, f"{number}_{count}", line["confidence"], scale, row=row)
            for count, word in enumerate(words, start=1)
        )
    title = _bbox(line["box"], scale)
    return f'<span class="ocr_line" id="line_{number}" title="{title}">{text}</span><br/>\n'


def _word(
    word: Mapping[str, Any], number: str, confidence: float | None, scale: float, *, row: bool
) -> str:
    sure = "" if confidence is None else f"; x_wconf {round(100 * confidence)}"
    title = _bbox(word["box"], scale) + sure
    text = _safe(plain_text(word["text"], row=row))
    return f'<span class="ocrx_word" id="word_{number}" title="{title}">{text}</span>'


def _bbox(box: Sequence[float], scale: float) -> str:
    return "bbox " + " ".join(str(round(length * scale)) for length in box)


def _safe(text: str) -> str:
    return escape(xml_text(text))

"""The pages of a PDF that somebody sent: where places lie on them, and their old hidden text."""

from __future__ import annotations

from typing import Any

import pikepdf
from pikepdf import Dictionary, Name, Operator

from gateway.results.scans.quads import Corner
from gateway.results.scans.sheets import Sheet
from gateway.results.writers.hidden_layer import Place

#: What a file raises that is not as it should be; pages that nobody finds are an IndexError.
DAMAGE = (pikepdf.PdfError, pikepdf.PasswordError, LookupError, RuntimeError, TypeError, ValueError)
_LETTER = (0.0, 0.0, 612.0, 792.0)
_MOST_PARENTS = 64
_HIDDEN = (3, 7)
#: Operators that show text; the last two go to the next line first.
_SHOWING, _NEW_LINE = ("Tj", "TJ", "'", '"'), ("'", '"')


def place_on(page: pikepdf.Page, sheet: Sheet) -> Place:
    """Return where a place of the upright page, from its top left, lies in the file's own space."""
    left, bottom, right, top = _visible_box(page)
    width, height = right - left, top - bottom
    rotation = _rotation(page)

    def place(corner: Corner) -> Corner:
        x, y = corner[0] / sheet.width, corner[1] / sheet.height
        if rotation == 90:
            return left + y * width, bottom + x * height
        if rotation == 180:
            return right - x * width, bottom + y * height
        if rotation == 270:
            return right - y * width, top - x * height
        return left + x * width, top - y * height

    return place


def _rotation(page: pikepdf.Page) -> int:
    """Return the degrees by which a page is turned clockwise; 0 for what is no number."""
    try:
        return int(_inherited(page, Name.Rotate, 0)) % 360
    except (TypeError, ValueError):
        return 0


def _visible_box(page: pikepdf.Page) -> tuple[float, float, float, float]:
    media = _box(_inherited(page, Name.MediaBox, None)) or _LETTER
    crop = _box(_inherited(page, Name.CropBox, None)) or media
    left, bottom = max(media[0], crop[0]), max(media[1], crop[1])
    right, top = min(media[2], crop[2]), min(media[3], crop[3])
    return (left, bottom, right, top) if left < right and bottom < top else media


def _box(value: Any) -> tuple[float, float, float, float] | None:
    """Return left, bottom, right and top; None for what is no box with something in it."""
    try:
        first, second, third, fourth = (float(length) for length in value)
    except (TypeError, ValueError):
        return None
    left, right = sorted((first, third))
    bottom, top = sorted((second, fourth))
    return (left, bottom, right, top) if left < right and bottom < top else None


def _inherited(page: pikepdf.Page, name: Name, default: Any) -> Any:
    """Return what a page or the nodes above it say."""
    node: Any = page.obj
    for _ in range(_MOST_PARENTS):
        if not isinstance(node, Dictionary):
            break
        if name in node:
            return node[name]
        node = node.get(Name.Parent)
    return default


def drop_hidden_text(pdf: pikepdf.Pdf, page: pikepdf.Page) -> None:
    """Take away text that an earlier reader laid on a scan: it would be found twice."""
    kept: list[Any] = []
    mode, saved, dropped = 0, [], False
    for command in pikepdf.parse_content_stream(page):
        operator = str(command.operator)
        if operator == "q":
            saved.append(mode)
        elif operator == "Q" and saved:
            mode = saved.pop()
        elif operator == "Tr":
            mode = int(command.operands[0])
        if operator not in _SHOWING or mode not in _HIDDEN:
            kept.append(command)
            continue
        dropped = True
        if operator in _NEW_LINE:
            kept.append(([], Operator("T*")))
    if dropped:
        page.obj.Contents = pdf.make_stream(pikepdf.unparse_content_stream(kept))

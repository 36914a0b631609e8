"""Puts the texts of annotations among the characters of a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from shared.documents.pdf.annotations import Rect, Sign
from shared.documents.text.glyphs import Flags, Floats, Glyphs

#: Height of letters, in points, where nothing says it, and a letter's width as a part of it.
_HEIGHT = 10.0
_WIDTH, _WIDE = 0.5, 1.0
_FIRST_WIDE = 0x1100
#: A button's sign is no higher, so that it stands in the row of its label.
_MOST_HEIGHT = 14.0


def sign_glyphs(signs: Sequence[Sign]) -> tuple[list[int], Floats]:
    """Return code points and boxes, (n, 4), in the page's own coordinates, of all signs."""
    placed = [one for sign in signs for one in _place(sign)]
    codes = [code for code, _ in placed]
    return codes, np.array([rect for _, rect in placed], np.float64).reshape(-1, 4)


def _place(sign: Sign) -> Iterator[tuple[int, Rect]]:
    left, bottom, right, top = sign.rect
    if sign.instead:
        middle, half = (bottom + top) / 2, min(top - bottom, _MOST_HEIGHT) / 2
        yield ord(sign.text), (left, middle - half, right, middle + half)
        return
    for number, line in enumerate(sign.text.splitlines()):
        head, x = top - number * 1.2 * _HEIGHT, left
        for letter in line:
            step = _HEIGHT * (_WIDE if ord(letter) >= _FIRST_WIDE else _WIDTH)
            yield ord(letter), (x, head - _HEIGHT, x + step, head)
            x += step


def outside_of(boxes: Floats, areas: Floats) -> Flags:
    """Tell which boxes, (n, 4), have their middle in none of the areas, (m, 4)."""
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    outside = np.ones(len(boxes), bool)
    for x0, y0, x1, y1 in areas:
        outside &= ~((x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1))
    return outside


def add_glyphs(glyphs: Glyphs, codes: Sequence[int], boxes: Floats) -> Glyphs:
    """Return upright characters added to the others; boxes are on the upright page."""
    if not codes:
        return glyphs
    return Glyphs(
        np.concatenate((glyphs.codes, np.array(codes, np.uint32))),
        np.concatenate((glyphs.boxes, boxes)),
        np.concatenate((glyphs.shapes, boxes)),
        np.concatenate((glyphs.rotations, np.zeros(len(codes), np.int16))),
        np.concatenate((glyphs.unproven, np.zeros(len(codes), bool))),
        np.concatenate((glyphs.fonts, np.zeros(len(codes), np.int64))),
        np.concatenate((glyphs.owners, np.zeros(len(codes), np.uint64))),
    )

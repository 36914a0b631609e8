"""Finds pictures and drawings: large patches of ink with little text in them."""

from __future__ import annotations

import numpy as np

from shared.documents.ink.blank import find_marks
from shared.documents.ink.mask import Mask
from shared.documents.model import Box

#: Pixels of a side of the cells in which ink is looked for.
_CELL = 16
#: A figure's part of the page, the part of it that has ink, and that may have text.
_LEAST_AREA = 0.02
_LEAST_FILLED = 0.25
_MOST_TEXT = 0.15


def find_figures(rest: Mask, text: Mask, scale: float) -> tuple[Box, ...]:
    """Return the boxes of figures in points, the largest first.

    `rest` is the ink beside the text, `text` the text's, both (height, width); `scale` is the
    pixels per point.
    """
    inked, written = _cells(rest), _cells(text)
    figures = []
    for rows, columns in find_marks(inked):
        part = slice(min(rows), max(rows) + 1), slice(min(columns), max(columns) + 1)
        area = inked[part].size
        if area < _LEAST_AREA * inked.size:
            continue
        if inked[part].mean() >= _LEAST_FILLED and written[part].mean() <= _MOST_TEXT:
            top, bottom, left, right = part[0].start, part[0].stop, part[1].start, part[1].stop
            cells = (left, top, right, bottom)
            figures.append((area, [side * _CELL / scale for side in cells]))
    figures.sort(key=lambda one: -one[0])
    return tuple((x0, y0, x1, y1) for _, (x0, y0, x1, y1) in figures)


def _cells(mask: Mask) -> Mask:
    rows, columns = (-(-side // _CELL) for side in mask.shape)
    padded = np.pad(mask, ((0, rows * _CELL - mask.shape[0]), (0, columns * _CELL - mask.shape[1])))
    cells: Mask = np.asarray(padded.reshape(rows, _CELL, columns, _CELL).any(axis=(1, 3)))
    return cells

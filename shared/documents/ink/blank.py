"""Whether a page shows nothing: noise, specks, shadows at the edge and holes are nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shared.documents.ink.mask import Grey, Mask, find_ink

#: The edge of a page in which a scanner's shadows are, as a part of its sides.
_EDGE = 0.025
#: Pixels of a side of what may be a speck: 1.4 mm.
_SPECK = 5
#: More pixels of ink are more than specks.
_MOST_PIXELS = 6000


def is_blank(grey: Grey) -> bool:
    """Tell whether a picture of a page, at about 90 dots per inch, shows nothing.

    A page that may show anything, even one small mark that could be a letter, is not blank.
    """
    height, width = grey.shape
    edge_y, edge_x = int(height * _EDGE), int(width * _EDGE)
    inner = grey[edge_y : height - edge_y, edge_x : width - edge_x]
    if inner.size == 0:
        return False
    mask = _without_lone_pixels(find_ink(inner))
    if mask.sum() > _MOST_PIXELS:
        return False
    return all(_is_speck(rows, columns) for rows, columns in find_marks(mask))


def _without_lone_pixels(mask: Mask) -> Mask:
    """Return the ink that has ink at two of its sides or corners at least."""
    counts = np.zeros(mask.shape, np.uint8)
    padded = np.pad(mask, 1).astype(np.uint8)
    height, width = mask.shape
    for dy in range(3):
        for dx in range(3):
            counts += padded[dy : dy + height, dx : dx + width]
    kept: Mask = mask & (counts >= 3)
    return kept


def find_marks(mask: Mask) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield the rows and columns of the pixels of each mark that hangs together."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    while left:
        rows, columns = zip(*_take_mark(left), strict=True)
        yield rows, columns


def _take_mark(left: set[tuple[int, int]]) -> list[tuple[int, int]]:
    mark = [left.pop()]
    for y, x in mark:
        around = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
        left -= around
        mark += around
    return mark


def _is_speck(rows: tuple[int, ...], columns: tuple[int, ...]) -> bool:
    return max(max(side) - min(side) for side in (rows, columns)) < _SPECK

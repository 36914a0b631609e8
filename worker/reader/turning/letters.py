"""Puts the letters of a column beside each other, as a line of upright letters."""

from __future__ import annotations

import numpy as np

from worker.reader.cropping import find_gaps, find_ink
from worker.reader.detection import Pixels

#: Height of a letter at most, and of the square that it gets, in widths of its column.
_LETTER, _SQUARE = 1.1, 1.15


def stand_letters_up(column: Pixels) -> Pixels | None:
    """Return the letters of an RGB column side by side, from its top; None without ink."""
    ink = find_ink(column)
    across = np.flatnonzero(ink.any(axis=0))
    if not len(across):
        return None
    left, right = int(across[0]), int(across[-1]) + 1
    width = right - left
    side = max(1, int(_SQUARE * width))
    ground = np.median(column.reshape(-1, 3), axis=0).astype(np.uint8)
    squares = []
    for top, bottom in _letters(ink, int(_LETTER * width)):
        height = min(bottom - top, side)
        square = np.full((side, side, 3), ground, np.uint8)
        y, x = (side - height) // 2, (side - width) // 2
        square[y : y + height, x : x + width] = column[top : top + height, left:right]
        squares.append(square)
    return np.concatenate(squares, axis=1)


def _letters(ink: np.ndarray[tuple[int, int], np.dtype[np.bool_]], most: int) -> list[list[int]]:
    """Return the first row of each letter and the one behind it; some have blank rows inside."""
    edges = [0, *(edge for gap in find_gaps(ink.T) for edge in gap), len(ink)]
    letters: list[list[int]] = []
    for top, bottom in zip(edges[::2], edges[1::2], strict=True):
        if top == bottom:
            continue
        if letters and bottom - letters[-1][0] <= most:
            letters[-1][1] = bottom
        else:
            letters.append([top, bottom])
    return letters

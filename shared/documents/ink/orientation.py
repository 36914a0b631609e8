"""Tells by its writing which way a page lies; when that is not sure, it is taken as it is.

Rows of writing are parted by free space, so their direction is the one in which rows are seen.
Letters rise above the row more often than they hang below it, so the heavier side is up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.documents.ink.mask import Grey, Mask, find_ink
from shared.documents.ink.writing import STRIP, Writing, find_writing

#: Pieces of rows from which anything is told.
_LEAST_PIECES = 24
#: How much clearer rows must be in one direction than in the other.
_LEAST_RATIO = 1.8
#: Standard errors, and size, of the difference between what rises and what hangs.
_LEAST_ERRORS = 5.0
_LEAST_RISE = 0.25
#: A row of pixels belongs to the bodies of letters from this part of the fullest row on.
_BODY = 0.5


def find_turn(grey: Grey) -> int:
    """Return clockwise degrees, 0, 90, 180 or 270, by which to turn a picture of a page upright.

    `grey` is (height, width) of 8 bits, with letters of about 8 to 60 pixels. 0 if unsure.
    """
    mask = find_ink(grey)
    level, upright = _clearness(mask), _clearness(np.ascontiguousarray(mask.T))
    if level >= _LEAST_RATIO * upright:
        return 180 if _rise(mask) < 0 else 0
    if upright >= _LEAST_RATIO * level:
        # turned clockwise by 90 degrees
        rise = _rise(np.ascontiguousarray(np.rot90(mask, -1)))
        return 0 if rise == 0 else 90 if rise > 0 else 270
    return 0


def _clearness(mask: Mask) -> float:
    """Return how much of a mask is rows of writing, weighted by the free space between them."""
    writing = find_writing(mask)
    if len(writing) < _LEAST_PIECES:
        return 0.0
    heights = writing.bottoms - writing.tops
    same_strip = writing.lefts[1:] == writing.lefts[:-1]
    gaps = np.where(same_strip, writing.tops[1:] - writing.bottoms[:-1], 0)
    weights = np.clip(gaps / heights[:-1], 0, 1)
    return float((weights * heights[:-1]).sum())


def _rise(mask: Mask) -> float:
    """Return how far letters rise above their row more than they hang below it; 0 if unsure."""
    writing = find_writing(mask)
    rises = np.array([_rise_of_piece(profile) for profile in _profiles(mask, writing)])
    rises = rises[np.isfinite(rises)]
    if len(rises) < _LEAST_PIECES:
        return 0.0
    mean, error = float(rises.mean()), float(rises.std()) / len(rises) ** 0.5
    sure = abs(mean) >= _LEAST_RISE and abs(mean) >= _LEAST_ERRORS * max(error, 1e-6)
    return mean if sure else 0.0


def _profiles(mask: Mask, writing: Writing) -> list[NDArray[np.float64]]:
    """Return the ink of each row of pixels of each piece."""
    return [
        mask[top:bottom, left : left + STRIP].sum(axis=1).astype(np.float64)
        for left, top, bottom in zip(
            writing.lefts.tolist(), writing.tops.tolist(), writing.bottoms.tolist(), strict=True
        )
    ]


def _rise_of_piece(profile: NDArray[np.float64]) -> float:
    body = np.flatnonzero(profile >= _BODY * profile.max())
    above, below = profile[: body[0]].sum(), profile[body[-1] + 1 :].sum()
    # letters without anything above or below tell nothing
    if above + below < 0.05 * profile.sum():
        return float("nan")
    return float((above - below) / (above + below))

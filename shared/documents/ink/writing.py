"""Finds ink that looks like writing: rows of many short strokes with free space between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.documents.ink.mask import Mask

#: Width in pixels of the strips that are looked at, so that a skewed page is no matter.
STRIP = 64
#: Heights of rows in pixels, at about 90 dots per inch.
_LEAST_HEIGHT, _MOST_HEIGHT = 4, 48
#: Strokes that each row of pixels crosses in a strip, at least.
_LEAST_STROKES = 2.5
_LEAST_DENSITY, _MOST_DENSITY = 0.05, 0.7


@dataclass(frozen=True, slots=True)
class Writing:
    """Pieces of rows, one strip wide, that look like writing; arrays of (n,), in pixels."""

    lefts: NDArray[np.intp]
    tops: NDArray[np.intp]
    bottoms: NDArray[np.intp]

    @property
    def area(self) -> int:
        """Return the pixels of all pieces."""
        return int((self.bottoms - self.tops).sum()) * STRIP

    def __len__(self) -> int:
        return len(self.tops)


def find_writing(mask: Mask) -> Writing:
    """Return the pieces of a page's ink, (height, width), that look like writing."""
    pieces = [_pieces_of_strip(mask, left) for left in range(0, mask.shape[1], STRIP)]
    lefts, tops, bottoms = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Writing(lefts, tops, bottoms)


def _pieces_of_strip(mask: Mask, left: int) -> tuple[NDArray[np.intp], ...]:
    strip = mask[:, left : left + STRIP]
    tops, bottoms = find_runs(np.asarray(strip.any(axis=1)))
    heights = bottoms - tops
    ink = _sums(strip.sum(axis=1), tops, bottoms)
    # a stroke begins where paper is left of ink
    strokes = _sums((strip[:, 1:] & ~strip[:, :-1]).sum(axis=1), tops, bottoms) / heights
    density = ink / (heights * strip.shape[1])
    fits = (heights >= _LEAST_HEIGHT) & (heights <= _MOST_HEIGHT) & (strokes >= _LEAST_STROKES)
    fits &= (density >= _LEAST_DENSITY) & (density <= _MOST_DENSITY)
    return np.full(int(fits.sum()), left), tops[fits], bottoms[fits]


def find_runs(flags: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return starts and ends of the runs of true values."""
    edges = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _sums(
    values: NDArray[np.intp], starts: NDArray[np.intp], ends: NDArray[np.intp]
) -> NDArray[np.intp]:
    totals = np.concatenate(([0], np.cumsum(values)))
    return totals[ends] - totals[starts]

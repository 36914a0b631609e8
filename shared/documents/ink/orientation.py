"""Tells by its writing which way a page lies; when that is not sure, it is taken as it is.

Rows of writing are parted by free space, so their direction is the one in which rows are seen.
Which side of a row is up is told by a network of one hidden layer that looks at single letters:
`bench/quality/orientation.py` draws the pages that it learns from and counts its errors.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.documents.ink.mask import Grey, Mask, find_ink
from shared.documents.ink.writing import STRIP, find_writing

#: Height and width of the windows that the network sees: a letter or two.
WINDOW_ROWS, WINDOW_COLUMNS = 16, 32
#: Pieces of rows from which anything is told, and windows that are looked at.
_LEAST_PIECES = 24
_MOST_WINDOWS = 2000
#: How much clearer rows must be in one direction than in the other.
_LEAST_RATIO = 1.6
#: Clearness of rows that are none.
_LEAST_CLEARNESS = 1e-9
#: What the windows must say together, in standard errors and on the network's own scale.
_LEAST_ERRORS = 5.0
_LEAST_SCORE = 0.12
#: A single window has no more say than this.
_MOST_SAY = 2.0
_LEAST_DENSITY, _MOST_DENSITY = 0.08, 0.7
_WEIGHTS = Path(__file__).with_name("upright.npz")

Windows = NDArray[np.float32]


def judge_turn(grey: Grey) -> int | None:
    """Return clockwise degrees, 0, 90, 180 or 270, by which to turn a picture of a page upright.

    `grey` is (height, width) of 8 bits, with letters of about 8 to 60 pixels. None if unsure.
    """
    mask = find_ink(grey)
    level, standing = _clearness(mask), _clearness(np.ascontiguousarray(mask.T))
    if level >= max(_LEAST_RATIO * standing, _LEAST_CLEARNESS):
        return {1: 0, -1: 180}.get(_side(mask))
    if standing >= max(_LEAST_RATIO * level, _LEAST_CLEARNESS):
        return {1: 90, -1: 270}.get(_side(np.ascontiguousarray(np.rot90(mask, -1))))
    return None


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


def _side(mask: Mask) -> int:
    """Return 1 if level rows of writing stand upright, -1 if on their head, 0 if unsure."""
    windows = cut_windows(mask)
    if len(windows) < _LEAST_PIECES:
        return 0
    scores = np.clip(_score(windows) - _score(windows[:, ::-1]), -_MOST_SAY, _MOST_SAY)
    mean, error = float(scores.mean()), float(scores.std()) / len(scores) ** 0.5
    if abs(mean) < max(_LEAST_SCORE, _LEAST_ERRORS * error):
        return 0
    return 1 if mean > 0 else -1


def cut_windows(mask: Mask) -> Windows:
    """Return parts of the rows of writing, scaled to one size, (n, rows * columns) of 0 and 1."""
    windows = np.array([*_windows(mask)], np.float32).reshape(-1, WINDOW_ROWS * WINDOW_COLUMNS)
    density = windows.mean(axis=1)
    windows = windows[(density > _LEAST_DENSITY) & (density < _MOST_DENSITY)]
    sample: Windows = windows[:: max(1, -(-len(windows) // _MOST_WINDOWS))]
    return sample


def _windows(mask: Mask) -> Iterator[Mask]:
    writing = find_writing(mask)
    across, down = _middles(WINDOW_COLUMNS), _middles(WINDOW_ROWS)
    places = zip(
        writing.lefts.tolist(), writing.tops.tolist(), writing.bottoms.tolist(), strict=True
    )
    for left, top, bottom in places:
        height = bottom - top
        rows = top + (down * height).astype(int)
        for count in range(max(1, STRIP // (2 * height))):
            columns = left + 2 * height * count + (across * 2 * height).astype(int)
            if columns[-1] < mask.shape[1]:
                yield mask[np.ix_(rows, columns)]


def _middles(parts: int) -> NDArray[np.float64]:
    return (np.arange(parts) + 0.5) / parts


def _score(windows: Windows) -> NDArray[np.float32]:
    hidden, biases, output = _load_weights()
    scores: NDArray[np.float32] = np.maximum(windows @ hidden + biases, 0) @ output
    return scores


@functools.cache
def _load_weights() -> tuple[Windows, NDArray[np.float32], NDArray[np.float32]]:
    with np.load(_WEIGHTS) as stored:
        hidden = stored["hidden"].astype(np.float32) * stored["scale"]
        return hidden, stored["biases"], stored["output"]

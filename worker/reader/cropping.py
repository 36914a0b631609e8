"""Takes a slanted line out of an image, and cuts one that is too long at gaps between words.

The constants are chosen with `python -m bench.quality.reader`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.reader.detection import Pixels, Quad
from worker.reader.recognition import HEIGHT

#: Columns of a piece at most, where a line has HEIGHT rows; a gap is looked for in this share of
#: its end.
_LONGEST, _REACH = 1600, 0.3
#: Grey levels from the ground, as share of the line's contrast, from which on a pixel is ink.
_INK = 0.35
#: Contrast of a line at least, grey levels.
_CONTRAST = 12
#: Columns without ink that are a gap between words.
_WORD_GAP = 7

#: Rows without ink that part a line from its neighbours, and not a letter from its dot.
_ROW_GAP = 8

#: (rows, columns): which pixels are ink.
Ink = NDArray[np.bool_]
#: Columns of a line without ink: first, and first with ink again.
Gaps = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line that is read by itself."""

    pixels: Pixels
    #: Where it begins and ends along the line, 0 to 1.
    start: float
    stop: float
    #: A gap between words lies before it.
    spaced: bool


def take_line(pixels: Pixels, quad: Quad) -> Pixels:
    """Return the line inside a slanted box as an upright image."""
    across = max(1, round(float(max(_length(quad[0], quad[1]), _length(quad[3], quad[2])))))
    down = max(1, round(float(max(_length(quad[0], quad[3]), _length(quad[1], quad[2])))))
    target = np.array([(0, 0), (across, 0), (across, down), (0, down)], np.float32)
    turned = cv2.getPerspectiveTransform(quad.astype(np.float32), target)
    # of a large image only the part around the line is worked on
    left, top = np.maximum(np.floor(quad.min(axis=0)).astype(int) - 2, 0)
    right, bottom = np.ceil(quad.max(axis=0)).astype(int) + 2
    shift = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64)
    line = cv2.warpPerspective(
        pixels[top:bottom, left:right],
        turned @ shift,
        (across, down),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return line.astype(np.uint8, copy=False)


def _length(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(one - other))


def find_ink(line: Pixels) -> Ink:
    """Return which pixels of a line are ink, (rows, columns)."""
    grey = line.astype(np.int16).mean(axis=2)
    ground = float(np.median(grey))
    distance = np.abs(grey - ground)
    contrast = float(np.percentile(distance, 99.5))
    return np.asarray(distance > _INK * max(contrast, _CONTRAST))


def find_gaps(ink: Ink) -> Gaps:
    """Return (start, stop) of each run of columns without ink."""
    return _runs(~np.any(ink, axis=0))


def find_rows_of_ink(ink: Ink) -> tuple[int, int]:
    """Return the first row of a line's letters and the one behind the last.

    Ink of the lines above and below is left out where a blank row parts it.
    """
    inked = ink.any(axis=1)
    fullest = int(ink.sum(axis=1).argmax())
    blanks = [(a, b) for a, b in _runs(~inked) if b - a >= _ROW_GAP or a == 0 or b == len(ink)]
    first = max((b for _, b in blanks if b <= fullest), default=0)
    stop = min((a for a, _ in blanks if a > fullest), default=len(ink))
    return first, stop


def _runs(flags: NDArray[np.bool_] | np.bool_) -> Gaps:
    steps = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def cut_line(line: Pixels, gaps: Gaps) -> list[Piece]:
    """Cut a line of HEIGHT rows into pieces that are short enough to be read well."""
    width = line.shape[1]
    if width <= _LONGEST:
        return [Piece(line, 0.0, 1.0, spaced=False)]
    cuts = [(0, False)]
    while width - cuts[-1][0] > _LONGEST:
        cuts.append(_next_cut(gaps, cuts[-1][0], width))
    ends = [at for at, _ in cuts[1:]] + [width]
    return [
        Piece(line[:, start:stop], start / width, stop / width, spaced)
        for (start, spaced), stop in zip(cuts, ends, strict=True)
    ]


def _next_cut(gaps: Gaps, start: int, width: int) -> tuple[int, bool]:
    """Return the middle of the widest gap near the end of a piece, and if words part there."""
    rest = width - start
    wanted = start + rest / math.ceil(rest / _LONGEST)
    first, last = wanted - _REACH * _LONGEST, min(start + _LONGEST, wanted + _REACH * _LONGEST)
    near = [gap for gap in gaps if first <= (gap[0] + gap[1]) / 2 <= last]
    if not near:
        return round(wanted), False
    left, right = max(near, key=lambda gap: (min(gap[1] - gap[0], HEIGHT // 2), gap[0]))
    return (left + right) // 2, right - left >= _WORD_GAP


def widest_gap(gaps: Gaps, left: float, right: float) -> float:
    """Return the columns of the widest gap that lies between two places of a line."""
    start, stop = find_widest_gap(gaps, left, right)
    return stop - start


def find_widest_gap(gaps: Gaps, left: float, right: float) -> tuple[float, float]:
    """Return the part that lies between two places of a line of the widest gap there."""
    parts = [(max(a, left), min(b, right)) for a, b in gaps]
    return max(parts, key=lambda part: part[1] - part[0], default=(left, left))

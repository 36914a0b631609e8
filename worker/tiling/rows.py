"""Finds the rows of text in an image by their ink, and about how many letters each of them has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.tiling import gaps
from worker.tiling.ink import Flags, find_runs, measure_window
from worker.tiling.tile import Box

#: Width of a letter in heights of a row's ink, and of a box that a detector draws around it.
_LETTER, _BOXED_LETTER = 0.5, 0.38
#: A blank within a row that is wider than so many of its heights parts two cells.
_CELL_GAP = 1.2
#: Rows that are so many times as high as the usual one are several lines that touch.
_TOUCHING = 1.6
#: Share of the lower of two boxes' heights that they have in common, in one row.
_LEVEL = 0.5
#: An unbroken level edge is a rule from so many pixels on, and from this share of the width on.
_RULE_PIXELS, _RULE_SHARE = 64, 0.15
#: Grey levels of such an edge.
_RULE_EDGE = 24


@dataclass(frozen=True, slots=True)
class Row:
    """A line of text, or a row of a table; in the image's pixels."""

    top: int
    bottom: int
    #: About how many letters it has.
    letters: float
    #: Parts with wide blanks between them.
    cells: int = 1

    @property
    def height(self) -> int:
        """Return the height of its ink."""
        return self.bottom - self.top

    @property
    def middle(self) -> int:
        """Return the middle of its ink."""
        return (self.top + self.bottom) // 2


def rows_of_ink(image: Image.Image, box: Box) -> list[Row]:
    """Return the rows of text inside a box, from top to bottom; lines that touch are one row."""
    window = measure_window(image, box, "y")
    scale = (box[2] - box[0]) / (window.edges.shape[1] + 1)
    inked = window.edges > window.thresholds()[0]
    return [
        _row_of_ink(inked[start:stop], box[1] + start, scale)
        for start, stop in gaps.line_spans(window)
    ]


def _row_of_ink(inked: Flags, top: int, scale: float) -> Row:
    height = max(1, len(inked))
    cells = _join_runs(find_runs(np.asarray(inked.any(axis=0))), _CELL_GAP * height / scale)
    width = sum(stop - start for start, stop in cells) * scale
    return Row(top, top + height, width / (_LETTER * height), max(1, len(cells)))


def _join_runs(runs: Iterable[tuple[int, int]], widest: float) -> list[tuple[int, int]]:
    """Join runs with at most `widest` between them."""
    joined: list[tuple[int, int]] = []
    for start, stop in runs:
        if joined and start - joined[-1][1] <= widest:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def rows_of_boxes(boxes: Iterable[Box]) -> list[Row]:
    """Return the rows that boxes around stretches of text make, from top to bottom."""
    groups: list[list[Box]] = []
    for box in sorted(boxes, key=lambda b: b[1] + b[3]):
        if groups and _is_level(groups[-1], box):
            groups[-1].append(box)
        else:
            groups.append([box])
    return [_row_of_boxes(group) for group in groups]


def _is_level(group: Sequence[Box], box: Box) -> bool:
    top, bottom = median(b[1] for b in group), median(b[3] for b in group)
    shared = min(bottom, box[3]) - max(top, box[1])
    return shared >= _LEVEL * min(bottom - top, box[3] - box[1])


def _row_of_boxes(group: Sequence[Box]) -> Row:
    top, bottom = min(b[1] for b in group), max(b[3] for b in group)
    letters = sum((b[2] - b[0]) / (_BOXED_LETTER * max(1, b[3] - b[1])) for b in group)
    return Row(top, bottom, letters, len(group))


def may_touch(rows: Sequence[Row]) -> bool:
    """Tell whether some rows are so high that they may be several lines which touch."""
    usual = median([row.height for row in rows] or [0])
    return any(row.height > _TOUCHING * usual for row in rows)


def level_rules(image: Image.Image, box: Box) -> list[int]:
    """Return the rows of pixels inside a box that a drawn level line runs along."""
    grey = np.asarray(image.crop(box).convert("L"), dtype=np.int16)
    edges = np.abs(np.diff(grey, axis=0)) > _RULE_EDGE
    least = max(_RULE_PIXELS, round(_RULE_SHARE * grey.shape[1]))
    ruled = _longest_runs(edges) >= least
    return [box[1] + int(y) for y in np.flatnonzero(ruled)]


def _longest_runs(flags: Flags) -> NDArray[np.int64]:
    """Return the length of the longest run of true values in each row: (rows,)."""
    rows, columns = flags.shape
    # a false column at both sides of each row keeps runs apart
    apart = np.zeros((rows, columns + 2), np.int8)
    apart[:, 1:-1] = flags
    steps = np.flatnonzero(np.diff(apart.ravel()))
    longest = np.zeros(rows, np.int64)
    np.maximum.at(longest, steps[::2] // (columns + 2), steps[1::2] - steps[::2])
    return longest

"""Measures how much of a row (or column) of pixels is ink, whatever the colours, noise and rules.

The constants are tuned with `make tiling`: no line of its pages may be lost, doubled or misplaced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from worker.tiling.tile import Axis, Box

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]
Edges = NDArray[np.int16]

#: Columns of a window; wider ones are averaged down to about this many.
_COLUMNS = 1024
#: Every third row and seventh column is enough to measure noise and contrast.
_SAMPLE = (slice(None, None, 3), slice(None, None, 7))
#: The 40th percentile of |N(0, σ)| is 0.524 σ; more than two fifths of a page are background.
_NOISE_PERCENTILE, _NOISE_SHARE = 40, 0.524
#: Percentile of the differences that only the strongest edges of text exceed.
_CONTRAST_PERCENTILE = 99.5
#: Shares of the contrast from which on an edge counts as ink, behind the strictest threshold.
_CONTRAST_SHARES = (0.12, 0.25)
#: Ink of a row that counts as dust: a sum of grey levels, and as much again for each grey level
#: of noise.
_DUST, _DUST_OF_NOISE = 24, 2
#: Least difference of neighbouring pixels that can be ink, in grey levels.
_FLOOR = 6
#: Standard deviations of the noise that an edge exceeds.
_SURE = 4.5
#: Standard deviation of the noise from which on a window is smoothed first, in grey levels, and
#: the radius of the smoothing in pixels.
_GRAINY, _SMOOTHING = 6.0, 1
#: Rows that an edge goes on for to be a rule: at least, at most; a third of the window in between.
_RULE, _RULE_SHARE = (48, 160), 3
#: Share of those rows that hold the edge: of an upright rule, of one beside a line of text.
_UNBROKEN_UPRIGHT, _UNBROKEN_LEVEL = 0.9, 0.99


@dataclass(frozen=True, slots=True)
class Window:
    """Part of an image as rows to be cut between; turned by a quarter for vertical cuts."""

    #: (rows, columns) differences of neighbouring pixels without rules, in grey levels.
    edges: Edges
    #: Rows that a rule or the border of a box crosses.
    ruled: Flags
    #: Standard deviation of the noise in `edges`.
    noise: float
    #: Difference that only the strongest edges of text exceed.
    contrast: float

    def thresholds(self) -> tuple[float, ...]:
        """Differences from which on an edge counts as ink, the strictest first.

        The later ones overlook artefacts of compression around text, and faint text too.
        """
        least = max(_FLOOR, _SURE * self.noise)
        higher = (share * self.contrast for share in _CONTRAST_SHARES)
        return (least, *(threshold for threshold in higher if threshold > least))

    def ink(self, threshold: float, columns: slice = slice(None)) -> Rows:
        """Return each row's sum of differences above `threshold`: (rows,) grey levels."""
        over = self.edges[:, columns] - np.int16(threshold)
        sums: Rows = np.maximum(over, 0, out=over).sum(axis=1, dtype=np.int64)
        return sums

    def blank(self, threshold: float, columns: slice = slice(None)) -> Flags:
        """Return (rows,) flags of those without ink."""
        return self.ink(threshold, columns) <= _DUST + _DUST_OF_NOISE * self.noise


def measure_window(image: Image.Image, box: Box, axis: Axis) -> Window:
    """Measure a box of an image for cuts across `axis`; memory is linear in the box."""
    part = image.crop(box)
    across = part.width if axis == "y" else part.height
    factor = max(1, across // _COLUMNS)
    part = part.reduce((factor, 1) if axis == "y" else (1, factor)).convert("RGB")
    edges = _differences(part, axis)
    noise = estimate_noise(edges[_SAMPLE])
    if noise > _GRAINY:
        edges = _differences(part.filter(ImageFilter.BoxBlur(_SMOOTHING)), axis)
        noise = estimate_noise(edges[_SAMPLE])
    contrast = float(np.percentile(edges[_SAMPLE], _CONTRAST_PERCENTILE))
    rules = _rules(edges > max(_FLOOR, _SURE * noise), upright=axis == "y")
    edges[rules] = 0
    return Window(edges, np.asarray(rules.any(axis=1)), noise, contrast)


def ink_runs(image: Image.Image, box: Box, axis: Axis) -> list[tuple[int, int]]:
    """Return (start, stop) of each run of rows (of columns with "x") of a box that hold any ink.

    In pixels of the image. Ink is whatever differs from its neighbours more than noise does: rules
    and pictures too.
    """
    part = image.crop(box).convert("RGB")
    first = box[1] if axis == "y" else box[0]
    last = box[3] if axis == "y" else box[2]
    edges = _differences(part, axis)
    inked: Flags = np.zeros(last - first, dtype=bool)
    inked |= _over(edges).any(axis=1)
    # a level rule is seen from the side only; a difference is noted at its first pixel
    beside = _over(_differences(part, "x" if axis == "y" else "y")).any(axis=0)
    inked[:-1] |= beside
    inked[1:] |= beside
    return [(first + start, first + stop) for start, stop in find_runs(inked)]


def _over(edges: Edges) -> Flags:
    return np.asarray(edges > max(_FLOOR, _SURE * estimate_noise(edges[_SAMPLE])))


def estimate_noise(differences: Edges) -> float:
    """Return the standard deviation of the noise in a page's differences of neighbouring pixels.

    In grey levels; 0 without any difference.
    """
    if not differences.size:
        return 0.0
    return float(np.percentile(differences, _NOISE_PERCENTILE)) / _NOISE_SHARE


def find_runs(flags: Flags) -> list[tuple[int, int]]:
    """Return (start, stop) of each run of true values."""
    steps = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def _differences(part: Image.Image, axis: Axis) -> Edges:
    """Return the largest difference over the channels: red on green has edges at equal light."""
    largest: Edges | None = None
    for band in part.split():
        values = np.asarray(band, dtype=np.int16)
        steps = np.abs(np.diff(values if axis == "y" else values.T, axis=1))
        largest = steps if largest is None else np.maximum(largest, steps, out=largest)
    if largest is None or largest.shape[1] == 0:
        length = part.height if axis == "y" else part.width
        return np.zeros((length, 1), dtype=np.int16)
    return np.ascontiguousarray(largest)


def _rules(marked: Flags, *, upright: bool) -> Flags:
    """Find edges that go on straight for much longer than a letter is tall, tilted ones too.

    Beside a line of text, whose letters stand on one row, only an unbroken edge is a rule.
    """
    shortest, longest = _RULE
    length = min(max(marked.shape[0] // _RULE_SHARE, shortest), longest)
    if marked.shape[0] < length:
        return np.zeros_like(marked)
    thick = marked.copy()
    if upright:
        thick[:, 1:] |= marked[:, :-1]
        thick[:, :-1] |= marked[:, 1:]
    seeds = _windows(thick, length) >= (_UNBROKEN_UPRIGHT if upright else _UNBROKEN_LEVEL) * length
    covered = np.zeros((seeds.shape[0] + 2 * (length - 1), seeds.shape[1]), dtype=bool)
    covered[length - 1 : length - 1 + seeds.shape[0]] = seeds
    return _windows(covered, length) > 0


def _windows(flags: Flags, length: int) -> NDArray[np.int32]:
    """Return how many of each `length` rows are true: (rows - length + 1, columns)."""
    sums = np.zeros((flags.shape[0] + 1, flags.shape[1]), dtype=np.int32)
    np.cumsum(flags, axis=0, out=sums[1:])
    return sums[length:] - sums[:-length]

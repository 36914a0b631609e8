"""How much of a row (or column) of pixels is ink, whatever the colours, noise and rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from worker.tiling.tile import Axis, Box

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]
Edges = NDArray[np.int16]

#: Columns that are looked at; wider windows are averaged down to about this many.
_COLUMNS = 1024
#: Ink up to this sum of grey levels in a row is dust.
_DUST = 24
#: Least difference of neighbouring pixels that can be ink, in grey levels.
_FLOOR = 6
#: Standard deviations of the noise that an edge exceeds.
_SURE = 4.5
#: Noise from which on a window is smoothed first, in grey levels.
_GRAINY = 6.0
#: A rule is an edge that goes on for this many rows, at least and at most.
_RULE = (48, 160)


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

        Behind the first, artefacts of compression around text are overlooked, faint text too.
        """
        least = max(_FLOOR, _SURE * self.noise)
        return (least, *(t for t in (0.12 * self.contrast, 0.25 * self.contrast) if t > least))

    def ink(self, threshold: float, columns: slice = slice(None)) -> Rows:
        """Return each row's sum of differences above `threshold`."""
        over = self.edges[:, columns] - np.int16(threshold)
        sums: Rows = np.maximum(over, 0, out=over).sum(axis=1, dtype=np.int64)
        return sums

    def blank(self, threshold: float, columns: slice = slice(None)) -> Flags:
        """Tell which rows hold no ink."""
        return self.ink(threshold, columns) <= _DUST + 2 * self.noise


def look(image: Image.Image, box: Box, axis: Axis) -> Window:
    """Measure a box of an image for cuts across `axis`; memory is linear in the box."""
    part = image.crop(box)
    across = part.width if axis == "y" else part.height
    factor = max(1, across // _COLUMNS)
    part = part.reduce((factor, 1) if axis == "y" else (1, factor)).convert("RGB")
    edges = _differences(part, axis)
    noise = _noise(edges)
    if noise > _GRAINY:
        edges = _differences(part.filter(ImageFilter.BoxBlur(1)), axis)
        noise = _noise(edges)
    contrast = float(np.percentile(edges[::3, ::7], 99.5))
    rules = _rules(edges > max(_FLOOR, _SURE * noise), upright=axis == "y")
    edges[rules] = 0
    return Window(edges, np.asarray(rules.any(axis=1)), noise, contrast)


def _noise(edges: Edges) -> float:
    # more than two fifths of a page is background
    return float(np.percentile(edges[::3, ::7], 40)) / 0.524


def runs(flags: Flags) -> list[tuple[int, int]]:
    """Return (start, stop) of each run of true values."""
    steps = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def _differences(part: Image.Image, axis: Axis) -> Edges:
    """Largest difference over the colour channels: red on green has edges though equally light."""
    largest: Edges | None = None
    for band in part.split():
        values = np.asarray(band, dtype=np.int16)
        found = np.abs(np.diff(values if axis == "y" else values.T, axis=1))
        largest = found if largest is None else np.maximum(largest, found, out=largest)
    if largest is None or largest.shape[1] == 0:
        length = part.height if axis == "y" else part.width
        return np.zeros((length, 1), dtype=np.int16)
    return np.ascontiguousarray(largest)


def _rules(marked: Flags, *, upright: bool) -> Flags:
    """Find edges that go on straight for much longer than a letter is tall, tilted ones too.

    Beside a line of text, whose feet stand in a row, only an edge without any break is a rule.
    """
    length = min(max(marked.shape[0] // 3, _RULE[0]), _RULE[1])
    if marked.shape[0] < length:
        return np.zeros_like(marked)
    thick = marked.copy()
    if upright:
        thick[:, 1:] |= marked[:, :-1]
        thick[:, :-1] |= marked[:, 1:]
    seeds = _windows(thick, length) >= (0.9 if upright else 0.99) * length
    covered = np.zeros((seeds.shape[0] + 2 * (length - 1), seeds.shape[1]), dtype=bool)
    covered[length - 1 : length - 1 + seeds.shape[0]] = seeds
    return _windows(covered, length) > 0


def _windows(flags: Flags, length: int) -> NDArray[np.int32]:
    """Count true values in each window of `length` rows."""
    sums = np.zeros((flags.shape[0] + 1, flags.shape[1]), dtype=np.int32)
    np.cumsum(flags, axis=0, out=sums[1:])
    return sums[length:] - sums[:-length]

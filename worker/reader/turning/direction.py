"""Tells how an image lies: some of its lines are read in each turn that they may have.

Columns of Chinese that run downwards are read by the network as lines that lie on their side, so
that letters are also looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from worker.reader.cropping import take_line
from worker.reader.detection import Pixels, Quad, Region
from worker.reader.lines import is_wide
from worker.reader.recognition import Recognition
from worker.reader.turning.letters import stand_letters_up

#: Lines that are read at most, and how long they are then, in heights.
SAMPLES, LONGEST = 3, 12
#: Longer side over shorter side of a line, and the share of lines that stand on a turned image.
_LINE, _TURNED = 2.0, 0.6
#: Mean probability of letters that lie as they should, and of those that can be read at all.
CLEAR, _LEGIBLE = 0.9, 0.8
#: By how much the letters of one turn must be more probable than those of the others.
_BETTER = 0.1

#: Reads upright lines, several at once.
LinesReader = Callable[[Sequence[Pixels]], list[Recognition]]


@dataclass(frozen=True, slots=True)
class Direction:
    """How an image lies."""

    #: Quarter turns counter-clockwise in which its lines are read from left to right.
    quarters: int = 0
    #: Those lines are columns of letters that run downwards.
    vertical: bool = False
    #: False where no turn shows letters that are clearly better than those of the others.
    sure: bool = True

    @property
    def turn(self) -> int:
        """Return the clockwise degrees, 0 to 270, by which to turn the image upright."""
        quarters = self.quarters - 1 if self.vertical else self.quarters
        return -90 * quarters % 360


def find_direction(pixels: Pixels, regions: Sequence[Region], read: LinesReader) -> Direction:
    """Return how an RGB image lies that has text in these places."""
    if not regions:
        return Direction()
    level = [Region(_level_corners(region.quad), region.score) for region in regions]
    longest = sorted(level, key=lambda region: -max(region.width, region.height))
    standing = [region.height >= _LINE * region.width for region in longest]
    turned = sum(standing) >= _TURNED * len(regions)
    chosen = [one for one, stands in zip(longest, standing, strict=True) if stands is turned]
    chosen = (chosen or longest)[:SAMPLES]
    lines = [shorten(take_line(pixels, region.quad)) for region in chosen]
    if turned:
        return _choose(lines, (1, 3), read)
    # a word of few letters is about as high as it is wide
    short = all(region.width < _LINE * region.height for region in chosen)
    return _choose(lines, (0, 2, 1, 3) if short else (0, 2), read)


def _level_corners(corners: Quad) -> Quad:
    """Return corners from the one whose next lies to its right: long boxes that slant have others.

    They go round the box the same way.
    """

    def slope(quad: Quad) -> float:
        across, down = quad[1] - quad[0]
        return float(across / max(1e-9, np.hypot(across, down)))

    return max((np.roll(corners, -turns, axis=0) for turns in range(4)), key=slope)


def _choose(lines: Sequence[Pixels], turns: Sequence[int], read: LinesReader) -> Direction:
    readings = dict[int, list[Recognition]]()
    for quarters in turns:
        readings[quarters] = read([np.rot90(line, quarters) for line in lines])
        if quarters == 0 and certainty(readings[0]) >= CLEAR:
            return Direction()
    best, *others = sorted(turns, key=lambda quarters: -certainty(readings[quarters]))
    better = certainty(readings[best]) - certainty(readings[others[0]])
    if certainty(readings[best]) < _LEGIBLE or better < _BETTER:
        upright = 0 not in turns and _runs_downwards(lines, 1, read)
        return Direction(sure=upright)
    letters = "".join(reading.text for reading in readings[best])
    vertical = best != 0 and is_mostly_wide(letters) and _runs_downwards(lines, best, read)
    return Direction(best, vertical)


def _runs_downwards(lines: Sequence[Pixels], quarters: int, read: LinesReader) -> bool:
    """Tell whether lines, turned so, have letters that stand with their heads to the left."""
    columns = [np.rot90(line, quarters - 1) for line in lines]
    rows = [row for column in columns if (row := stand_letters_up(column)) is not None]
    return bool(rows) and certainty(read(rows)) >= CLEAR


def certainty(readings: Sequence[Recognition]) -> float:
    """Return the mean probability of the letters of lines."""
    return mean(reading.confidence for reading in readings)


def is_mostly_wide(letters: str) -> bool:
    """Tell whether half of these letters are of a script that also runs downwards."""
    return 2 * sum(map(is_wide, letters)) >= max(1, len(letters))


def shorten(line: Pixels) -> Pixels:
    """Return the middle of a line that is long, level or not."""
    height, width = line.shape[:2]
    most = LONGEST * min(height, width)
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    return line[top : top + most, left : left + most]

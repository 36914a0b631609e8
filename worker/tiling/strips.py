"""Cuts an image into strips of so few letters that a small model reads each in one look.

Strips end only where no ink is cut, so that their texts are joined line by line. The constants are
tuned with `make tiling`: no line of its pages may be lost or doubled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from PIL import Image

from worker.tiling import gaps
from worker.tiling.columns import find_sections
from worker.tiling.cutting import text_height
from worker.tiling.ink import measure_window
from worker.tiling.rows import Row, level_rules, may_touch, rows_of_boxes, rows_of_ink
from worker.tiling.tile import Box, Tile

#: Rows of text that columns have at least.
_COLUMN_ROWS = 16
#: A drawn table is read in one look up to so many times the letters of a strip.
_TABLE = 4
#: Rows of a table at least.
_TABLE_ROWS = 2
#: Width over height from which on cells in a row may be signs that stand side by side.
_PANORAMA = 8
#: Longer side over shorter side of a strip, at most.
_SLIM = 100
#: Height of a row where there is none.
_NO_ROW = 16

#: Returns boxes around the stretches of text in an image, as a detector sees them.
TextFinder = Callable[[Image.Image], Sequence[Box]]


@dataclass(frozen=True, slots=True)
class Strip:
    """A tile of whole rows of text."""

    tile: Tile
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class _Cut:
    """A clean place between two rows: the first row of pixels below it."""

    at: int
    breaks: bool


def cut_strips(
    image: Image.Image, letters: float, find_text: TextFinder | None = None
) -> list[Strip]:
    """Cut an image into strips in reading order that together show all of it.

    Each has at most about so many `letters`, or one row, or a drawn table. `find_text` is asked
    where the ink alone does not tell one line from the next. Rows that no clean cut parts stay
    together, so that an image without any comes back as one strip.
    """
    whole: Box = (0, 0, *image.size)
    rows = rows_of_ink(image, whole)
    if image.width > _PANORAMA * image.height and any(row.cells > 1 for row in rows):
        return [Strip(Tile(0, whole), tuple(rows))]
    boxes = find_text(image) if find_text is not None and (not rows or may_touch(rows)) else ()
    strips: list[Strip] = []
    for section in find_sections(image, round(_COLUMN_ROWS * (text_height(image) or _NO_ROW))):
        own = _rows_inside(image, section.box, boxes)
        strips += _cut_section(image, section.box, own, letters)
    return [replace(s, tile=replace(s.tile, order=n)) for n, s in enumerate(strips)]


def halve_strip(image: Image.Image, strip: Strip) -> list[Strip]:
    """Cut a strip in two of about as many letters; it comes back alone where nothing parts it."""
    cuts = _find_cuts(image, strip.tile.box, strip.rows)
    total, before = sum(row.letters for row in strip.rows), 0.0
    places: list[tuple[float, int]] = []
    _, top, _, bottom = strip.tile.box
    for number, row in enumerate(strip.rows[:-1]):
        before += row.letters
        cut = cuts.get(number)
        if cut is not None and min(cut.at - top, bottom - cut.at) * _SLIM >= strip.tile.width:
            places.append((abs(2 * before - total), number))
    if not places:
        return [strip]
    _, last = min(places)
    groups = [strip.rows[: last + 1], strip.rows[last + 1 :]]
    first, second = _strips_of(strip.tile.box, groups, [cuts[last]])
    return [replace(first, tile=replace(first.tile, breaks=strip.tile.breaks)), second]


def _rows_inside(image: Image.Image, box: Box, boxes: Sequence[Box]) -> list[Row]:
    left, top, right, bottom = box
    inside = [
        b for b in boxes if left <= (b[0] + b[2]) / 2 < right and top <= (b[1] + b[3]) / 2 < bottom
    ]
    return rows_of_boxes(inside) if inside else rows_of_ink(image, box)


def _cut_section(image: Image.Image, box: Box, rows: Sequence[Row], letters: float) -> list[Strip]:
    """Cut a part of the image that is read from its top to its bottom."""
    cuts = _find_cuts(image, box, rows)
    groups: list[list[Row]] = [[]]
    ends: list[_Cut] = []
    below = _Cut(box[1], breaks=True)
    least = math.ceil((box[2] - box[0]) / _SLIM)
    for atom, cut in _atoms(image, box, rows, cuts, letters):
        top = ends[-1].at if ends else box[1]
        room = min(below.at - top, box[3] - below.at) >= least
        full = sum(row.letters for row in (*groups[-1], *atom)) > letters
        if groups[-1] and full and room:
            ends.append(below)
            groups.append([])
        groups[-1] += atom
        below = cut
    return _strips_of(box, groups, ends)


def _atoms(
    image: Image.Image, box: Box, rows: Sequence[Row], cuts: dict[int, _Cut], letters: float
) -> Iterator[tuple[list[Row], _Cut]]:
    """Yield rows that stay together, and the cut below them; the last one's means nothing."""
    glued = _table_rows(image, box, rows, letters)
    atom: list[Row] = []
    for number, row in enumerate(rows):
        atom.append(row)
        is_last = number == len(rows) - 1
        if is_last or (number in cuts and number not in glued):
            yield atom, cuts.get(number, _Cut(box[3], breaks=True))
            atom = []


def _strips_of(box: Box, groups: Sequence[Sequence[Row]], ends: Sequence[_Cut]) -> list[Strip]:
    left, top, right, bottom = box
    edges = pairwise([_Cut(top, breaks=True), *ends, _Cut(bottom, breaks=True)])
    return [
        Strip(Tile(0, (left, start.at, right, end.at), breaks=start.breaks), tuple(rows))
        for (start, end), rows in zip(edges, groups, strict=True)
    ]


def _find_cuts(image: Image.Image, box: Box, rows: Sequence[Row]) -> dict[int, _Cut]:
    """Return the clean cut below each row that has one, by the row's number."""
    cuts = {}
    for number, (above, below) in enumerate(pairwise(rows)):
        low, high = max(box[1], above.top), min(box[3], below.bottom)
        first, last = above.middle - low, below.middle - low
        if high <= low or last <= first:
            continue
        window = measure_window(image, (box[0], low, box[2], high), "y")
        wanted = (above.bottom + below.top) // 2 - low
        gap = gaps.clean_gap(window, wanted, max(1, first), last)
        if gap is not None:
            usual = median(b.top - a.bottom for a, b in pairwise(rows))
            wide = gap.wide and below.top - above.bottom > 2 * max(1, usual)
            cuts[number] = _Cut(low + gap.at, wide)
    return cuts


def _table_rows(
    image: Image.Image, box: Box, rows: Sequence[Row], letters: float
) -> frozenset[int]:
    """Return the numbers of rows of drawn tables below which no strip ends."""
    rules = [*level_rules(image, box), *_upright_rules(image, box)]
    glued: set[int] = set()
    for first, stop in _runs_of_cells(rows):
        top, bottom = rows[first].top - rows[first].height, rows[stop - 1].bottom
        drawn = any(top <= y <= bottom + rows[first].height for y in rules)
        small = sum(row.letters for row in rows[first:stop]) <= _TABLE * letters
        if drawn and small:
            glued.update(range(first, stop - 1))
    return frozenset(glued)


def _upright_rules(image: Image.Image, box: Box) -> Iterable[int]:
    ruled = measure_window(image, box, "y").ruled
    return (box[1] + y for y in ruled.nonzero()[0].tolist())


def _runs_of_cells(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Yield (first, stop) of each run of rows with several cells."""
    first = None
    for number, row in enumerate([*rows, Row(0, 0, 0)]):
        if row.cells > 1:
            first = number if first is None else first
        elif first is not None:
            if number - first >= _TABLE_ROWS:
                yield first, number
            first = None

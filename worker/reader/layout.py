"""Puts fragments into reading order: columns, rows, blanks, empty lines and tables.

The constants are chosen with `python -m bench.quality.reader`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import cv2
import numpy as np
from PIL import Image

from worker.reader.columns import part_columns
from worker.reader.detection import Pixels
from worker.reader.page import Fragment, Point, ReadLine, ReadPage
from worker.reader.tables import find_tables, write_cells, write_rule
from worker.tiling.columns import Section, find_sections
from worker.tiling.tile import Box

#: Degrees of slant from which on the image is straightened to find its columns.
_SLANT = 0.4
#: Width over height of fragments whose slant counts.
_LONG = 3.0
#: Rows of text that columns have at least, half of what is taken for a tile's height.
_COLUMN_ROWS = 16
#: Share of the lower of two fragments' heights that they have in common, in one row.
_LEVEL = 0.5
#: Share of the narrower one that fragments in one row may have in common.
_ABOVE = 0.4
#: Distance between rows, in usual distances, from which on an empty line stands there.
_APART = 2.2
#: Columns of the smallest table that is looked for, where two columns are none of running text.
_TABLE_OF_TWO = 2
#: Rows without a usual distance, at most.
_FEW = 3


@dataclass(frozen=True, slots=True)
class Placed:
    """A fragment with its upright box on a straightened page."""

    fragment: Fragment
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Return the height of its line."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """Return the length of its line."""
        return self.right - self.left

    @property
    def middle(self) -> Point:
        """Return its centre."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


#: Fragments at one height, from left to right.
Row = list[Placed]


def arrange(fragments: Sequence[Fragment], pixels: Pixels, columns: int) -> ReadPage:
    """Return the page that fragments of an image make; a table has so many columns at least."""
    if not fragments:
        return ReadPage()
    slant = _find_slant(fragments)
    placed = [_place(fragment, slant, pixels) for fragment in fragments]
    texts: list[str] = []
    lines: list[ReadLine] = []
    blocks = _find_blocks(placed, pixels, slant, short=columns > _TABLE_OF_TWO)
    for number, block in enumerate(blocks):
        rows = find_rows(block)
        block_texts, block_lines = _write_rows(rows, columns)
        texts += ["", *block_texts] if number else block_texts
        lines += block_lines
    return ReadPage("\n".join(texts), tuple(lines))


def _find_slant(fragments: Sequence[Fragment]) -> float:
    """Return the usual slant of lines in degrees, clockwise."""
    slants: list[float] = []
    for fragment in fragments:
        (left, top), (right, end), _, (low_left, low) = fragment.polygon
        across, down = math.hypot(right - left, end - top), math.hypot(low_left - left, low - top)
        if across >= _LONG * down:
            slants.append(math.degrees(math.atan2(end - top, right - left)))
    return median(slants) if slants else 0.0


def _place(fragment: Fragment, slant: float, pixels: Pixels) -> Placed:
    """Return a fragment as it lies when the image is turned by its slant around its centre."""
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), slant, 1.0)
    corners = np.asarray(fragment.polygon) @ turn[:, :2].T + turn[:, 2]
    top, bottom = corners[:2, 1].mean(), corners[2:, 1].mean()
    left, right = corners[[0, 3], 0].mean(), corners[[1, 2], 0].mean()
    if right < left or bottom < top:
        # a line on its side
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return Placed(fragment, float(left), float(top), float(right), float(bottom))


def _find_blocks(
    placed: Sequence[Placed], pixels: Pixels, slant: float, *, short: bool
) -> Iterator[Sequence[Placed]]:
    """Yield the fragments of each column, or of what lies between columns, in reading order.

    `short` columns count too, which two columns of a table may look like.
    """
    sections = _find_sections(pixels, slant, median(one.height for one in placed))
    blocks: list[list[Placed]] = [[] for _ in sections]
    boxes = [section.box for section in sections]
    for one in placed:
        blocks[_nearest(one.middle, boxes)].append(one)
    for section, block in zip(sections, blocks, strict=True):
        if block and short and not section.column:
            yield from part_columns(block)
        elif block:
            yield block


def _find_sections(pixels: Pixels, slant: float, row: float) -> list[Section]:
    height, width = pixels.shape[:2]
    straight = pixels
    if abs(slant) >= _SLANT:
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), slant, 1.0)
        straight = cv2.warpAffine(
            pixels, turn, (width, height), borderMode=cv2.BORDER_REPLICATE
        ).astype(np.uint8, copy=False)
    tall = round(_COLUMN_ROWS * row)
    return find_sections(Image.fromarray(straight), tall)


def _nearest(place: Point, boxes: Sequence[Box]) -> int:
    x, y = place

    def distance(box: Box) -> float:
        left, top, right, bottom = box
        return max(left - x, x - right, 0.0) + max(top - y, y - bottom, 0.0)

    return min(range(len(boxes)), key=lambda number: distance(boxes[number]))


def find_rows(placed: Sequence[Placed]) -> list[Row]:
    """Group fragments that lie at one height, from top to bottom."""
    rows: list[Row] = []
    for one in sorted(placed, key=lambda p: p.middle[1]):
        level = [row for row in rows[-_FEW:] if _is_level(row, one)]
        if level:
            level[-1].append(one)
        else:
            rows.append([one])
    for row in rows:
        row.sort(key=lambda p: p.left)
    return sorted(rows, key=lambda row: median(p.middle[1] for p in row))


def _is_level(row: Row, one: Placed) -> bool:
    """Tell whether a fragment continues a row: it is as high as its nearest neighbour there."""
    near = min(row, key=lambda p: max(p.left - one.right, one.left - p.right))
    shared = min(near.bottom, one.bottom) - max(near.top, one.top)
    across = min(near.right, one.right) - max(near.left, one.left)
    beside = across < _ABOVE * min(near.width, one.width)
    return beside and shared >= _LEVEL * min(near.height, one.height)


def _write_rows(rows: Sequence[Row], columns: int) -> tuple[list[str], list[ReadLine]]:
    """Return the lines of a block's text, and those of them that were read."""
    texts: list[str] = []
    lines: list[ReadLine] = []
    tables = find_tables(rows, columns)
    gaps = _empty_lines_before(rows)
    for number, row in enumerate(rows):
        table = tables.get(number)
        opens = table is not None and table.first == number
        closes = number - 1 in tables and table is not tables[number - 1]
        if texts and (number in gaps or opens or closes):
            texts.append("")
        text = write_cells(row, table) if table else " ".join(p.fragment.text for p in row)
        texts.append(text)
        if table is not None and opens:
            texts.append(write_rule(table))
        lines.append(ReadLine(text, tuple(p.fragment for p in row)))
    return texts, lines


def _empty_lines_before(rows: Sequence[Row]) -> set[int]:
    """Return the numbers of rows that lie far below the one before."""
    middles = [median(p.middle[1] for p in row) for row in rows]
    steps = [b - a for a, b in pairwise(middles)]
    if len(steps) < _FEW:
        return set()
    usual = median(steps)
    return {number for number, step in enumerate(steps, start=1) if step > _APART * usual}

"""Labels for the tower: the contents of each 16×16 patch as integer classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from demo.data import words
from demo.data.scenes import UNREADABLE

if TYPE_CHECKING:
    from demo.data.scenes import Region, Sample

PATCH = 16
MERGE = 1
TOKEN = PATCH * MERGE

#: Characters told apart within one patch, from left to right.
SLOTS = 4
#: Class of a character; 0 is "none", the last one "unreadable".
CLASSES = {char: number for number, char in enumerate((*words.ALPHABET, UNREADABLE), start=1)}
CHARS = len(CLASSES) + 1
LINES = 64
COLUMNS = 128
KINDS = 19
#: Classes of a patch's place: outside of shapes, inside one, at the centre of one.
CENTRES = 3
#: Columns of a label row: SLOTS characters, line + 1, column + 1, kind of shape, its centre.
WIDTH = SLOTS + 4


def patch_order(grid: np.ndarray) -> np.ndarray:
    """(height, width, …) in patches to (height·width, …), those of a token together."""
    height, width, *rest = grid.shape
    blocks = grid.reshape(height // MERGE, MERGE, width // MERGE, MERGE, *rest)
    return blocks.swapaxes(1, 2).reshape(height * width, *rest)


def covered_squares(region: Region, side: int) -> tuple[range, range]:
    """Rows and columns of the squares that a region covers by more than half."""
    x, y, end_x, end_y = ((edge + side // 2) // side for edge in region.box)
    return range(y, end_y), range(x, end_x)


def patch_labels(sample: Sample) -> np.ndarray:
    """(patches, WIDTH) int64 in the tower's order."""
    height, width = sample.image.height // PATCH, sample.image.width // PATCH
    grid = np.zeros((height, width, WIDTH), np.int64)
    for region in sample.regions:
        rows, columns = covered_squares(region, PATCH)
        grid[rows.start : rows.stop, columns.start : columns.stop, -2:] = region.kind, 1
        x, y, end_x, end_y = region.box
        grid[(y + end_y) // 2 // PATCH, (x + end_x) // 2 // PATCH, -1] = 2
    used = np.zeros((height, width), np.int64)
    for glyph in sample.glyphs:
        row, column = int(glyph.y) // PATCH, int(glyph.x) // PATCH
        if not (0 <= row < height and 0 <= column < width):
            continue
        cell, slot = grid[row, column], used[row, column]
        if slot == 0:
            cell[SLOTS] = min(glyph.line + 1, LINES - 1)
            cell[SLOTS + 1] = min(glyph.column + 1, COLUMNS - 1)
        if slot < SLOTS and glyph.char in CLASSES:
            cell[slot] = CLASSES[glyph.char]
            used[row, column] += 1
    return patch_order(grid)


def glyph_tokens(sample: Sample) -> list[int]:
    """For each glyph the number (row by row) of the token that its centre lies in, or -1."""
    rows, columns = sample.image.height // TOKEN, sample.image.width // TOKEN
    tokens = []
    for glyph in sample.glyphs:
        row, column = int(glyph.y) // TOKEN, int(glyph.x) // TOKEN
        inside = 0 <= row < rows and 0 <= column < columns
        tokens.append(row * columns + column if inside else -1)
    return tokens


def region_tokens(sample: Sample) -> list[list[int]]:
    """For each region the numbers (row by row) of the tokens that it covers."""
    across = sample.image.width // TOKEN
    both = [covered_squares(region, TOKEN) for region in sample.regions]
    return [[row * across + column for row in rows for column in columns] for rows, columns in both]

"""Boxes of parts of what was seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from shared.jobs.answers.lines import Box, Corner, Corners, Length, SeenPiece, SeenRow, box_around


def is_level(first: Corners, last: Corners) -> bool:
    """Tell whether two parts stand in one row, as the text of the first runs."""
    across, down = first[3][0] - first[0][0], first[3][1] - first[0][1]
    off_x, off_y = last[0][0] - first[1][0], last[0][1] - first[1][1]
    height = math.hypot(across, down)
    return abs(off_x * across + off_y * down) < height * height / 2


def union(parts: Sequence[Corners]) -> Box:
    """Return the upright box around several slanted ones."""
    return box_around([corner for part in parts for corner in part])


def round_box(box: Box, digits: int) -> Box:
    """Return a box with so many digits behind the point, and something in it."""
    left, top, right, bottom = (_round(length, digits) for length in box)
    least = 10**-digits
    return (
        left,
        top,
        max(right, _round(left + least, digits)),
        max(bottom, _round(top + least, digits)),
    )


def round_corners(corners: Corners, digits: int) -> Corners:
    """Return corners with so many digits behind the point."""
    first, second, third, fourth = ((_round(x, digits), _round(y, digits)) for x, y in corners)
    return first, second, third, fourth


def _round(length: Length, digits: int) -> Length:
    return round(length, digits) if digits else round(length)


def turn_back(place: Corner, degrees: int, width: float, height: float) -> Corner:
    """Return a place of an image of this size before it was turned clockwise by 0 to 270 degrees.

    `place` is one of the turned image.
    """
    x, y = place
    places = {
        0: (x, y),
        90: (y, height - x),
        180: (width - x, height - y),
        270: (width - y, x),
    }
    return places[degrees]


def map_rows(rows: Sequence[SeenRow], move: Callable[[Corner], Corner]) -> tuple[SeenRow, ...]:
    """Return what was seen at other places."""
    return tuple(
        SeenRow(pieces=tuple(_map_piece(piece, move) for piece in row.pieces)) for row in rows
    )


def _map_piece(piece: SeenPiece, move: Callable[[Corner], Corner]) -> SeenPiece:
    first, second, third, fourth = map(move, piece.corners)
    return piece.model_copy(update={"corners": (first, second, third, fourth)})


def area(box: Box) -> float:
    """Return the pixels of a box."""
    left, top, right, bottom = box
    return max(0.0, right - left) * max(0.0, bottom - top)


def shared(one: Box, other: Box) -> Box:
    """Return the part that two boxes have in common; its area is 0 where there is none."""
    return (
        max(one[0], other[0]),
        max(one[1], other[1]),
        min(one[2], other[2]),
        min(one[3], other[3]),
    )

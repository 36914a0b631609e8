"""Slanted boxes: top left, top right, bottom right and bottom left, as their text runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Degrees between an upright text and one that is slanted on purpose.
_HARDLY = 12

Corner = tuple[float, float]
Quad = tuple[Corner, Corner, Corner, Corner]


def quad_of(corners: Sequence[Sequence[float]]) -> Quad:
    """Return the quad of four corners."""
    first, second, third, fourth = ((float(x), float(y)) for x, y in corners)
    return first, second, third, fourth


def size_of(quad: Quad) -> Corner:
    """Return the width along the text and the height across it."""
    return math.dist(quad[0], quad[1]), math.dist(quad[0], quad[3])


def level(quad: Quad) -> Quad:
    """Return the upright box around a quad that is hardly slanted, and any other as it is.

    Programs that take text out of a PDF break words whose letters climb or fall a little.
    """
    (x, y), (end_x, end_y) = quad[0], quad[1]
    angle = math.degrees(math.atan2(end_y - y, end_x - x))
    turns = round(angle / 90)
    if abs(angle - 90 * turns) > _HARDLY:
        return quad
    xs, ys = zip(*quad, strict=True)
    left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    first, second, third, fourth = corners[turns % 4 :] + corners[: turns % 4]
    return first, second, third, fourth


def slanted_part(box: Sequence[float], line: Quad) -> Quad:
    """Return the slanted box of a part of a line, of which the upright `box` is known."""
    left, top, right, bottom = box
    (x, y), (end_x, end_y) = line[0], line[1]
    length, tall = size_of(line)
    if not length:
        return (left, top), (right, top), (right, bottom), (left, bottom)
    cos, sin = (end_x - x) / length, (end_y - y) / length
    width, height = _inner_size(right - left, bottom - top, abs(cos), abs(sin), tall)
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    along, across = (cos * width / 2, sin * width / 2), (-sin * height / 2, cos * height / 2)
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    first, second, third, fourth = (
        (middle_x + a * along[0] + b * across[0], middle_y + a * along[1] + b * across[1])
        for a, b in signs
    )
    return first, second, third, fourth


def _inner_size(width: float, height: float, cos: float, sin: float, tall: float) -> Corner:
    """Return length and height of a slanted box from the size of the upright one around it."""
    least = 0.01 * max(width, height, 1e-3)
    if min(cos, sin) < 1e-3:
        return (width, height) if cos > sin else (height, width)
    wide = (width - tall * sin) / cos if cos > sin else (height - tall * cos) / sin
    return max(wide, least), tall

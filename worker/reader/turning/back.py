"""Maps what was read in a turned image back to the image as it is stored."""

from __future__ import annotations

from dataclasses import replace

from worker.reader.page import Fragment, Point, Polygon, ReadLine, ReadPage
from worker.reader.turning.direction import Direction


def turn_back(page: ReadPage, direction: Direction, width: int, height: int) -> ReadPage:
    """Return a page that was read in the quarter turns of an image that lies so.

    `width` and `height` are those of the image before the turns.
    """

    def turn(fragment: Fragment) -> Fragment:
        first, second, third, fourth = (
            _turn_point(point, direction.quarters, width, height) for point in fragment.polygon
        )
        polygon: Polygon = (first, second, third, fourth)
        return replace(fragment, polygon=polygon)

    lines = [ReadLine(line.text, tuple(map(turn, line.fragments))) for line in page.lines]
    return ReadPage(page.text, tuple(lines), turned=direction.turn)


def _turn_point(point: Point, quarters: int, width: int, height: int) -> Point:
    x, y = point
    if quarters == 1:
        return width - y, x
    if quarters == 2:
        return width - x, height - y
    return y, height - x

"""Where a long image is cut into tiles of about one pixel budget each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from PIL import Image

from worker.tiling import gaps
from worker.tiling.columns import Section, sections
from worker.tiling.ink import look, runs
from worker.tiling.tile import Axis, Box, Tile

#: Longer side over shorter side of a tile, unless the longer side is below _SHORT pixels.
_SLIM = 16
_SHORT = 1024
_SLIMMEST = 150
#: Width over height up to which a tile stays as wide as the image.
_WIDE = 8
#: Share of the budget that is aimed at, to leave room for a later gap.
_FILL = 0.92
#: Pixels of text height to which a tile may be shrunk to stay within its budget.
_LEGIBLE = 24
#: Pixels around the reach of a cut that are looked at, to know gaps and lines whole.
_MARGIN = 64
#: Width of a long word in heights of its letters.
_WORD = 5
#: Overlap at a cut through ink, as share of a tile's length: at least, at most, without text.
_OVERLAP = (0.12, 0.45, 0.25)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a stretch: from `start` to `stop` along the axis."""

    start: int
    stop: int
    overlap: int
    breaks: bool


def cut(image: Image.Image, budget_pixels: int) -> list[Tile]:
    """Cut an image into tiles in reading order that together show all of it.

    Cuts lie in gaps between lines of text; where none is in reach, two tiles overlap by more than
    a line. Columns of text are read one after the other. A tile has at most `budget_pixels`,
    except where the image is so wide that its text may be scaled down: a caller's own scaling
    keeps the budget. Raises ValueError for a budget below 4,096 pixels.
    """
    if budget_pixels < 4096:
        raise ValueError("a tile needs a budget of at least 4,096 pixels")
    width, height = image.size
    whole = Section((0, 0, width, height), column=False)
    if _fits(width, height, budget_pixels):
        return [Tile(0, whole.box)]
    area = _area(image, budget_pixels)
    found: list[Tile] = []
    for section in sections(image, _band_height(width, area)):
        for tile in _tiles(image, section.box, area):
            found.append(Tile(len(found), *tile))
    return found


def _fits(width: int, height: int, budget: int) -> bool:
    longer, shorter = max(width, height), min(width, height)
    return width * height <= budget and longer <= _longest(shorter)


def _longest(across: int) -> int:
    return max(_SLIM * across, min(_SHORT, _SLIMMEST * across))


def _area(image: Image.Image, budget: int) -> int:
    """Pixels that a tile may have: more than the budget where wide text stays legible."""
    if image.width**2 <= _WIDE * budget:
        return budget
    tall = _text_height(image)
    scale = 1.0 if tall is None else max(1.0, tall / _LEGIBLE)
    return round(budget * scale**2)


def _text_height(image: Image.Image) -> float | None:
    """Median height of lines in 5 x 5 samples, in pixels; None without text."""
    side, heights = 384, []
    for row in range(5):
        for column in range(5):
            left = max(0, image.width - side) * column // 4
            top = max(0, image.height - side) * row // 4
            box = (left, top, min(image.width, left + side), min(image.height, top + side))
            window = look(image, box, "y")
            spans = runs(~window.blank(window.thresholds()[0]))
            heights += [b - a for a, b in spans if 5 < b - a < side // 2]
    return float(median(heights)) if heights else None


def _band_height(width: int, area: int) -> int:
    """Height of a tile as wide as the image, or of a row of tiles side by side."""
    if width * width <= _WIDE * area:
        return max(1, min(area // width, _longest(width)))
    return math.isqrt(area // 2)


def _tiles(
    image: Image.Image, box: Box, area: int
) -> Iterator[tuple[Box, Axis, int, bool, tuple[int, ...]]]:
    left, top, right, bottom = box
    for band in _pieces(image, box, "y", _band_height(right - left, area)):
        row = (left, band.start, right, band.stop)
        tall = band.stop - band.start
        slim = tall == bottom - top and right - left > _longest(tall)
        if (right - left) * tall <= area and not slim:
            yield row, "y", band.overlap, band.breaks, ()
            continue
        side_by_side = _pieces(image, row, "x", min(area // tall, _longest(tall)))
        for number, piece in enumerate(side_by_side):
            part = (piece.start, band.start, piece.stop, band.stop)
            lines = tuple(band.start + y for y in gaps.line_middles(look(image, part, "y")))
            if number == 0:
                yield part, "y", band.overlap, band.breaks, lines
            else:
                yield part, "x", piece.overlap, piece.breaks, lines


def _pieces(image: Image.Image, box: Box, axis: Axis, length: int) -> Iterator[_Piece]:
    """Cut a box along an axis into pieces of at most `length` pixels."""
    begin, end = (box[1], box[3]) if axis == "y" else (box[0], box[2])
    start, overlap, breaks = begin, 0, True
    while end - start > length:
        rest = end - start
        wanted = start + round(rest / math.ceil(rest / (_FILL * length)))
        stop, following, wide = _cut_near(image, box, axis, start, wanted, start + length)
        yield _Piece(start, stop, overlap, breaks)
        overlap, breaks, start = stop - following, wide, following
    yield _Piece(start, end, overlap, breaks)


def _cut_near(
    image: Image.Image, box: Box, axis: Axis, start: int, wanted: int, last: int
) -> tuple[int, int, bool]:
    """Return where the piece from `start` ends, where the next begins, and whether it breaks."""
    first = start + max(1, round(0.55 * (wanted - start)))
    end = box[3] if axis == "y" else box[2]
    low, high = max(start, first - _MARGIN), min(end, last + _MARGIN)
    seen = (box[0], low, box[2], high) if axis == "y" else (low, box[1], high, box[3])
    window = look(image, seen, axis)
    letters = gaps.line_height(look(image, seen, "y")) if axis == "x" else None
    gap = gaps.clean_gap(window, wanted - low, first - low, last - low, letters)
    if gap is not None:
        return low + gap.at, low + gap.at, gap.wide
    length = last - start
    extent = gaps.line_extent(window) if letters is None else _WORD * letters
    shared = _OVERLAP[2] * length if extent is None else 2 * extent
    shared = round(min(max(shared, _OVERLAP[0] * length), _OVERLAP[1] * length))
    highest = max(first, last - math.ceil(shared / 2))
    at = low + gaps.least_ink(window, min(wanted, highest) - low, first - low, highest - low)
    stop = min(last, at + math.ceil(shared / 2))
    return stop, max(start + 1, stop - shared), False

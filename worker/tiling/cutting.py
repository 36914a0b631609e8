"""Cuts a long image into tiles of about one pixel budget each.

The constants are tuned with `make tiling` (no line of its pages may be lost, doubled or misplaced)
and `python -m bench.quality.long` (errors and seconds of whole pages).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from PIL import Image

from worker.tiling import gaps
from worker.tiling.columns import Section, find_sections
from worker.tiling.ink import find_runs, measure_window
from worker.tiling.tile import Axis, Box, Tile

#: Longer side over shorter side of a tile: at most _SLIM, or up to _SLIMMEST while the longer side
#: is below _SHORT pixels.
_SLIM = 16
_SHORT = 1024
_SLIMMEST = 150
#: Width over height up to which a tile stays as wide as the image.
_WIDE = 8
#: Width over height of tiles that lie side by side.
_BESIDE = 2
#: Share of the budget that is aimed at, to leave room for a later gap.
_FILL = 0.92
#: Pixels of text height to which a tile may be shrunk to stay within its budget.
_LEGIBLE = 24
#: Samples along each side, and their side in pixels, in which the height of text is measured.
_SAMPLES, _SAMPLE_SIDE = 5, 384
#: Rows of ink of a line, at least.
_LINE_ROWS = 6
#: A cut comes after this share of the way to the wanted place, at the earliest.
_EARLIEST = 0.55
#: Pixels around the reach of a cut that are looked at, to know gaps and lines whole.
_MARGIN = 64
#: Width of a long word in heights of its letters.
_WORD = 7
#: Overlap at a cut through ink: in lines (or long words), and as share of a tile's length at
#: least, at most and where there is no text.
_OVERLAP_LINES = 2
_OVERLAP_LEAST, _OVERLAP_MOST, _OVERLAP_NO_TEXT = 0.12, 0.45, 0.25
#: Least budget in pixels.
_LEAST_BUDGET = 4096


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
    if budget_pixels < _LEAST_BUDGET:
        raise ValueError("a tile needs a budget of at least 4,096 pixels")
    width, height = image.size
    whole = Section((0, 0, width, height), column=False)
    if _fits(width, height, budget_pixels):
        return [Tile(0, whole.box)]
    area = _area(image, budget_pixels)
    tiles: list[Tile] = []
    for section in find_sections(image, _band_height(width, area)):
        for part in _parts(image, section.box, area):
            tiles.append(Tile(len(tiles), *part))
    return tiles


def _fits(width: int, height: int, budget: int) -> bool:
    longer, shorter = max(width, height), min(width, height)
    return width * height <= budget and longer <= _longest(shorter)


def _longest(across: int) -> int:
    """Return how long a tile of that shorter side may be, in pixels."""
    return max(_SLIM * across, min(_SHORT, _SLIMMEST * across))


def _area(image: Image.Image, budget: int) -> int:
    """Return the pixels that a tile may have: more than the budget where text stays legible."""
    if image.width**2 <= _WIDE * budget:
        return budget
    tall = text_height(image)
    scale = 1.0 if tall is None else max(1.0, tall / _LEGIBLE)
    return round(budget * scale**2)


def text_height(image: Image.Image) -> float | None:
    """Return the median height of lines in samples all over the image, in pixels; None without."""
    heights: list[int] = []
    for row in range(_SAMPLES):
        for column in range(_SAMPLES):
            left = max(0, image.width - _SAMPLE_SIDE) * column // (_SAMPLES - 1)
            top = max(0, image.height - _SAMPLE_SIDE) * row // (_SAMPLES - 1)
            right = min(image.width, left + _SAMPLE_SIDE)
            bottom = min(image.height, top + _SAMPLE_SIDE)
            window = measure_window(image, (left, top, right, bottom), "y")
            spans = find_runs(~window.blank(window.thresholds()[0]))
            heights += [b - a for a, b in spans if _LINE_ROWS <= b - a < _SAMPLE_SIDE // 2]
    return float(median(heights)) if heights else None


def _band_height(width: int, area: int) -> int:
    """Return the height of a tile as wide as the image, or of a row of tiles side by side."""
    if width * width <= _WIDE * area:
        return max(1, min(area // width, _longest(width)))
    return math.isqrt(area // _BESIDE)


def _parts(
    image: Image.Image, box: Box, area: int
) -> Iterator[tuple[Box, Axis, int, bool, tuple[int, ...]]]:
    """Yield the fields of each tile of a section, from `box` on."""
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
            middles = gaps.line_middles(measure_window(image, part, "y"))
            lines = tuple(band.start + y for y in middles)
            if number == 0:
                yield part, "y", band.overlap, band.breaks, lines
            else:
                yield part, "x", piece.overlap, piece.breaks, lines


def _pieces(image: Image.Image, box: Box, axis: Axis, length: int) -> Iterator[_Piece]:
    """Cut a box along an axis into pieces of at most `length` pixels."""
    begin, end = (box[1], box[3]) if axis == "y" else (box[0], box[2])
    start, overlap, breaks, widest = begin, 0, True, 0
    while end - start > length:
        rest = end - start
        wanted = start + round(rest / math.ceil(rest / (_FILL * length)))
        stop, next_start, wide = _cut_near(image, box, axis, start, wanted, start + length, widest)
        yield _Piece(start, stop, overlap, breaks)
        overlap, breaks, start = stop - next_start, wide, next_start
        widest = max(widest, overlap) if axis == "y" else 0
    yield _Piece(start, end, overlap, breaks)


def _cut_near(
    image: Image.Image, box: Box, axis: Axis, start: int, wanted: int, last: int, least: int
) -> tuple[int, int, bool]:
    """Return where the piece from `start` ends, where the next begins, and whether it breaks.

    `least` pixels are shared by both where ink is cut.
    """
    first = start + max(1, round(_EARLIEST * (wanted - start)))
    end = box[3] if axis == "y" else box[2]
    low, high = max(start, first - _MARGIN), min(end, last + _MARGIN)
    around = (box[0], low, box[2], high) if axis == "y" else (low, box[1], high, box[3])
    window = measure_window(image, around, axis)
    letters = gaps.line_height(measure_window(image, around, "y")) if axis == "x" else None
    gap = gaps.clean_gap(window, wanted - low, first - low, last - low, letters)
    if gap is not None:
        return low + gap.at, low + gap.at, gap.wide
    if letters is not None and (early := _sign_gap(image, box, start, first, letters)):
        return early, early, True
    extent = gaps.line_extent(window) if letters is None else _WORD * letters
    # a page lies askew as a whole, though one window of it may not show that
    overlap = max(_overlap(extent, last - start), min(least, round(_OVERLAP_MOST * (last - start))))
    highest = max(first, last - math.ceil(overlap / 2))
    at = low + gaps.least_ink(window, min(wanted, highest) - low, first - low, highest - low)
    stop = min(last, at + math.ceil(overlap / 2))
    return stop, max(start + 1, stop - overlap), False


def _sign_gap(image: Image.Image, box: Box, start: int, first: int, letters: float) -> int | None:
    """Return where to cut before a sign that would be cut through; None where nothing parts it.

    The piece between `start` and the cut is short, and the sign is whole in the next one.
    """
    window = measure_window(image, (start, box[1], first, box[3]), "x")
    across, least = first - start, math.ceil(letters)
    gap = gaps.clean_gap(window, across - 1, least, across - 1, letters) if across > least else None
    return start + gap.at if gap is not None and gap.wide else None


def _overlap(extent: float | None, length: int) -> int:
    """Return how many pixels two tiles share; `extent` is that of a line, None without text."""
    shared = _OVERLAP_NO_TEXT * length if extent is None else _OVERLAP_LINES * extent
    return round(min(max(shared, _OVERLAP_LEAST * length), _OVERLAP_MOST * length))

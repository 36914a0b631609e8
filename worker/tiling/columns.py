"""Finds columns of running text, which are read one after the other; tables and receipts are none.

The constants are tuned with `make tiling`: no line of its pages may be lost, doubled or misplaced.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from PIL import Image

from worker.tiling import gaps
from worker.tiling.ink import Flags, estimate_noise, find_runs, measure_window
from worker.tiling.tile import Box

#: Cells that the width is reduced to, at most.
_CELLS = 512
#: Pixels of the image that are reduced at a time.
_STRIP = 4_000_000
#: Columns are worth reading apart from this share of a tile's height.
_WORTH = 0.5
#: Rows of a block are an eighth of a tile's height, and at least so many cells.
_BLOCK_SHARE, _BLOCK_CELLS = 8, 8
#: Blocks that a band has at least.
_BAND_BLOCKS = 3
#: Least difference of neighbouring cells that is ink, in grey levels, and in standard deviations
#: of the noise.
_EDGE, _EDGE_NOISE = 12.0, 5
#: Every third row and column of cells is enough to measure the noise.
_SAMPLE = (slice(None, None, 3), slice(None, None, 3))
#: A gutter's width at least: in cells, and as share of the image's.
_GUTTER_CELLS, _GUTTER = 3, 0.012
#: A gutter is wider than so many blanks between the words of the column with the narrowest ones;
#: what is narrower than this share of a line's height lies between letters.
_GUTTER_BLANKS, _LETTER_GAP = 1.3, 0.25
#: Share of the width at each side in which no gutter lies.
_SIDE = 0.12
#: Words of a heading part at a gutter where the clear stretch around it is narrower than this
#: share of the usual one, or wider than so many times what it has in common with the text below.
_HEADING_NARROW, _HEADING_WIDE = 0.4, 2
#: A column's least share of the width; widest over narrowest.
_LEAST, _UNEVEN = 0.18, 2.5
#: This percentile of the rows' lengths is how far lines reach across their column.
_FILL_PERCENTILE = 60
#: Lines of running text reach this far across their column; cells of a table do not.
_FILLED = 0.72
#: Where so many rows of all columns lie level, as in a receipt, lines must begin so far left.
_LEVEL, _INDENT = 0.9, 0.08
#: Share of the rows between the first and the last of all columns that all of them share.
_BESIDE = 0.4
#: Share of its rows that hold ink.
_DENSE = 0.35
#: Share of a column of cells that dust may cover.
_DUST = 0.02
#: Share of a row of gutters that dust may cover.
_SPECK = 0.08
#: Share of a column of cells from which on its ink is a vertical rule.
_UPRIGHT = 0.8
#: A column has so many lines at least, three quarters of whose height is ink; rows of ink.
_LINES, _LINE_INK, _INKED_ROWS = 8, 0.75, 16
#: Parts of a column, side by side, in which the height of its lines is measured.
_LINE_PARTS = 4
#: Rows without ink that part two pages: in cells, and in usual heights of a line; a band of few
#: lines is one page.
_PAGE_GAP, _PAGE_GAP_LINES, _PAGE_LINES = 6.0, 3.5, 3
#: Pixels within which a heading's last row of ink ends above its columns.
_SNAP = 48
#: Pixels by which an edge of a section may move to the other side.
_SLACK = 4


@dataclass(frozen=True, slots=True)
class Section:
    """A part of an image that is read from its top to its bottom before the next one."""

    box: Box
    column: bool


@dataclass(frozen=True, slots=True)
class _Band:
    """Rows that the same gutters run through; in cells."""

    top: int
    bottom: int
    gutters: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Ink:
    """How the ink of one column lies."""

    #: Cells across.
    width: int
    #: Share of that width that two fifths of the rows span at least.
    fill: float
    #: Usual distance of a row's first ink from the left, as share of the width.
    indent: float
    #: (rows,): those that hold any ink.
    rows: Flags


def find_sections(image: Image.Image, tall: int) -> list[Section]:
    """Return the sections of an image in reading order; `tall` is the height of a tile in pixels.

    Columns shorter than half a tile are left to the reader of the tile.
    """
    factor = math.ceil(image.width / _CELLS)
    inked = _inked(image, factor)
    parts: list[Section] = []
    #: Everything above this row is in a section.
    end = 0
    for band in _tallest(_bands(inked, max(_BLOCK_CELLS, tall // factor // _BLOCK_SHARE))):
        if (band.bottom - band.top) * factor < _WORTH * tall:
            continue
        top = _clean_row(image, band.top * factor, end, below=_SNAP)
        bottom = _clean_row(image, band.bottom * factor, end, above=_SNAP)
        if top is None or bottom is None or bottom - top < _WORTH * tall:
            continue
        if top > end:
            parts.append(Section((0, end, image.width, top), column=False))
        middles = [(a + b) * factor // 2 for a, b in band.gutters]
        for left, right in pairwise([0, *middles, image.width]):
            parts.append(Section((left, top, right, bottom), column=True))
        end = bottom
    if end < image.height:
        parts.append(Section((0, end, image.width, image.height), column=False))
    return parts


def _clean_row(
    image: Image.Image, near: int, start: int, above: int = _SLACK, below: int = _SLACK
) -> int | None:
    """Return a row near `near`, at most so far above or below, that cuts no text; None without one.

    Rows before `start` belong to the section above.
    """
    if near <= start or near >= image.height:
        return max(start, min(near, image.height))
    low, high = max(start, near - 2 * _SNAP), min(image.height, near + 2 * _SNAP)
    window = measure_window(image, (0, low, image.width, high), "y")
    first, last = max(low + 1, near - above), min(high - 1, near + below)
    gap = gaps.clean_gap(window, near - low, first - low, last - low)
    return None if gap is None else low + gap.at


def _inked(image: Image.Image, factor: int) -> Flags:
    """Return (rows, columns) flags of the cells of `factor` x `factor` pixels that hold an edge."""
    step = max(1, _STRIP // image.width // factor) * factor
    strips = [
        np.asarray(
            image.crop((0, y, image.width, min(image.height, y + step))).reduce(factor).convert("L")
        )
        for y in range(0, image.height, step)
    ]
    grey = np.concatenate(strips).astype(np.int16)
    down, right = np.abs(np.diff(grey, axis=0)), np.abs(np.diff(grey, axis=1))
    limit = max(_EDGE, _EDGE_NOISE * estimate_noise(right[_SAMPLE]))
    inked = np.zeros(grey.shape, dtype=bool)
    inked[:-1] |= down > limit
    inked[:, :-1] |= right > limit
    return inked


def _bands(inked: Flags, block: int) -> Iterator[_Band]:
    """Yield the stretches of running text in columns, block of rows by block of rows."""
    height, width = inked.shape
    clears: list[Flags] = []
    for top in range(0, height + block, block):
        here = _clear(inked[top : top + block]) if top < height else np.zeros(width, dtype=bool)
        both = here & _all(clears) if clears else here
        if _gutters(both) and not (len(clears) < _BAND_BLOCKS and _by_chance(both, here)):
            clears.append(here)
            continue
        for first, last in _uncrossed(clears):
            start = top - (len(clears) - first) * block
            stop = min(height, top - (len(clears) - last) * block)
            yield from _prose(inked, start, stop, _gutters(_all(clears[first:last])))
        clears = [here] if _gutters(here) else []


def _all(clears: list[Flags]) -> Flags:
    return np.logical_and.reduce(clears)


def _uncrossed(clears: list[Flags]) -> list[tuple[int, int]]:
    """Return the runs of blocks that are left without those where a heading crosses the gutter."""
    if len(clears) < _BAND_BLOCKS:
        return []
    left, right = max(_gutters(_all(clears)), key=lambda g: g[1] - g[0])
    own = [next(b - a for a, b in find_runs(c) if a <= left and b >= right) for c in clears]
    wide = np.array(own) >= _HEADING_NARROW * median(own)
    return [(a, b) for a, b in find_runs(wide) if b - a >= _BAND_BLOCKS]


def _tallest(bands: Iterable[_Band]) -> list[_Band]:
    """Return the taller of bands that overlap, from top to bottom."""
    tallest: list[_Band] = []
    for band in sorted(bands, key=lambda b: b.top - b.bottom):
        if all(band.bottom <= other.top or band.top >= other.bottom for other in tallest):
            tallest.append(band)
    return sorted(tallest, key=lambda b: b.top)


def _clear(rows: Flags) -> Flags:
    """Return (columns,) flags of those free of ink but for dust; a vertical rule counts as ink."""
    return np.asarray(rows.mean(axis=0) <= _DUST)


def _gutters(clear: Flags) -> list[tuple[int, int]]:
    """Return (start, stop) of each gutter among clear columns of cells."""
    width = len(clear)
    least = max(_GUTTER_CELLS, math.ceil(_GUTTER * width))
    return [
        (a, b)
        for a, b in find_runs(clear)
        if b - a >= least and b > _SIDE * width and a < (1 - _SIDE) * width
    ]


def _by_chance(both: Flags, here: Flags) -> bool:
    """Tell whether words of a heading happen to part where a gutter begins."""
    now, shared = _gutters(here), _gutters(both)
    widest = max(b - a for a, b in now)
    return len(now) > len(shared) or widest > _HEADING_WIDE * max(b - a for a, b in shared)


def _prose(inked: Flags, top: int, bottom: int, gutters: list[tuple[int, int]]) -> Iterator[_Band]:
    """Extend a band as far as its gutters are blank, and yield each page of it with columns."""
    band = inked[top:bottom]
    inner = [(a, b) for a, b in gutters if band[:, :a].any() and band[:, b:].any()]
    if not inner:
        return
    lanes = np.concatenate([np.arange(a, b) for a, b in inner])
    blank = inked[:, lanes].mean(axis=1) < _SPECK
    while top > 0 and blank[top - 1]:
        top -= 1
    while bottom < len(inked) and blank[bottom]:
        bottom += 1
    for first, last in _pages(inked[top:bottom]):
        page = _Band(top + first, top + last, inner)
        if _are_columns(inked[page.top : page.bottom], inner):
            yield page


def _pages(band: Flags) -> list[tuple[int, int]]:
    """Split where no column has ink for several lines."""
    rows: Flags = np.asarray(band.any(axis=1))
    heights = [b - a for a, b in find_runs(rows)]
    if not heights:
        return []
    wide = math.inf
    if len(heights) > _PAGE_LINES:
        wide = max(_PAGE_GAP, _PAGE_GAP_LINES * median(heights))
    cuts = [(a + b) // 2 for a, b in find_runs(~rows) if b - a >= wide and a > 0 and b < len(rows)]
    return list(pairwise([0, *cuts, len(rows)]))


def _are_columns(band: Flags, gutters: list[tuple[int, int]]) -> bool:
    """Tell running text from tables and receipts: its lines fill their columns."""
    edges = [0, *(x for gutter in gutters for x in gutter), band.shape[1]]
    parts = [_without_rules(band[:, a:b]) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    inks = [_measure_ink(part) for part in parts]
    widths = [ink.width for ink in inks]
    if min(widths) < _LEAST * band.shape[1] or max(widths) > _UNEVEN * min(widths):
        return False
    if min(ink.fill for ink in inks) < _FILLED:
        return False
    # the blanks of a few lines, above all of equal ones, may happen to stand below each other
    blank = min(filter(None, map(_blank_between_words, parts)), default=0.0)
    if min(stop - start for start, stop in gutters) < _GUTTER_BLANKS * blank:
        return False
    rows = np.stack([ink.rows for ink in inks])
    level = (rows.all(axis=0) | ~rows.any(axis=0)).mean() > _LEVEL
    if level and max(ink.indent for ink in inks) > _INDENT:
        return False
    reach = [(r.argmax(), len(r) - r[::-1].argmax()) for r in rows]
    shared = min(stop for _, stop in reach) - max(start for start, _ in reach)
    return bool(shared >= _BESIDE * max(stop - start for start, stop in reach))


def _without_rules(part: Flags) -> Flags:
    """Leave out vertical rules, which would make every row look full."""
    return part & (part.mean(axis=0) < _UPRIGHT)


def _line_height(part: Flags) -> float:
    """Return the usual height of a line in cells; 0 without ink."""
    pieces = np.array_split(part, _LINE_PARTS, axis=1)
    return median([b - a for p in pieces for a, b in find_runs(np.asarray(p.any(axis=1)))] or [0])


def _blank_between_words(part: Flags) -> float:
    """Return the usual width of the widest blank in a line, in cells; 0 without any."""
    widest: list[int] = []
    for start, stop in find_runs(np.asarray(part.any(axis=1))):
        columns = np.flatnonzero(part[start:stop].any(axis=0))
        # neighbours differ by one cell where nothing is between them
        gap = int(np.diff(columns).max(initial=1)) - 1
        widest.append(gap if gap > _LETTER_GAP * (stop - start) else 0)
    return median(widest or [0])


def _measure_ink(part: Flags) -> _Ink:
    """Measure a column's ink; one of too few rows has no width."""
    rows: Flags = np.asarray(part.any(axis=1))
    inked = np.flatnonzero(rows)
    least = _LINE_INK * _LINES * _line_height(part)
    if len(inked) < _INKED_ROWS or len(inked) < max(_DENSE * np.ptp(inked), least):
        return _Ink(0, 0.0, 1.0, rows)
    columns = np.flatnonzero(part.any(axis=0))
    first = part[inked].argmax(axis=1)
    last = part.shape[1] - 1 - part[inked][:, ::-1].argmax(axis=1)
    width = int(columns[-1] - columns[0] + 1)
    fill = float(np.percentile((last - first + 1) / width, _FILL_PERCENTILE))
    return _Ink(width, fill, float(np.median(first - columns[0])) / width, rows)

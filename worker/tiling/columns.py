"""Columns of text, read one after the other; tables and receipts are none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from PIL import Image

from worker.tiling import gaps
from worker.tiling.ink import Flags, look, runs
from worker.tiling.tile import Box

#: Cells that the width is reduced to, at most.
_CELLS = 512
#: Pixels of the image that are reduced at a time.
_STRIP = 4_000_000
#: A gutter's least share of the width, and the share of the width at each side without gutters.
_GUTTER = 0.012
_SIDE = 0.12
#: A column's least share of the width; widest over narrowest.
_LEAST, _UNEVEN = 0.18, 2.5
#: Lines of running text reach this far across their column; cells of a table do not.
_FILLED = 0.72
#: Where so many rows of all columns lie level, as in a receipt, lines must begin so far left.
_LEVEL, _INDENT = 0.9, 0.08
#: Share of its rows that hold ink.
_DENSE = 0.35
#: Share of a column of cells that dust may cover.
_DUST = 0.02
#: Share of a row of gutters that dust may cover.
_SPECK = 0.08
#: Lines that a column has at least.
_LINES = 8
#: Pixels within which a heading's last row of ink ends above its columns.
_SNAP = 48


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
    """How the ink of one column lies; shares are of the width that it covers."""

    #: In cells.
    width: int
    #: What two fifths of the rows span at least.
    fill: float
    #: Usual distance of a row's first ink from the left.
    indent: float
    #: Rows that hold any.
    rows: Flags


def sections(image: Image.Image, tall: int) -> list[Section]:
    """Return the sections of an image in reading order.

    Columns shorter than half of `tall` pixels are left to the reader of a tile.
    """
    factor = math.ceil(image.width / _CELLS)
    inked = _inked(image, factor)
    found: list[Section] = []
    done = 0
    for band in _apart(_bands(inked, max(8, tall // factor // 8))):
        if (band.bottom - band.top) * factor < tall / 2:
            continue
        top = _clean_row(image, band.top * factor, done, below=_SNAP)
        bottom = _clean_row(image, band.bottom * factor, done, above=_SNAP)
        if top is None or bottom is None or bottom - top < tall / 2:
            continue
        if top > done:
            found.append(Section((0, done, image.width, top), column=False))
        middles = [(a + b) * factor // 2 for a, b in band.gutters]
        for left, right in pairwise([0, *middles, image.width]):
            found.append(Section((left, top, right, bottom), column=True))
        done = bottom
    if done < image.height:
        found.append(Section((0, done, image.width, image.height), column=False))
    return found


def _clean_row(
    image: Image.Image, near: int, done: int, above: int = 4, below: int = 4
) -> int | None:
    """Return a row near by, at most so far above or below, that cuts no text; None without one."""
    if near <= done or near >= image.height:
        return max(done, min(near, image.height))
    low, high = max(done, near - 2 * _SNAP), min(image.height, near + 2 * _SNAP)
    window = look(image, (0, low, image.width, high), "y")
    first, last = max(low + 1, near - above), min(high - 1, near + below)
    gap = gaps.clean_gap(window, near - low, first - low, last - low)
    return None if gap is None else low + gap.at


def _inked(image: Image.Image, factor: int) -> Flags:
    """Tell which cells of `factor` x `factor` pixels hold an edge, long vertical ones left out."""
    step = max(1, _STRIP // image.width // factor) * factor
    strips = [
        np.asarray(
            image.crop((0, y, image.width, min(image.height, y + step))).reduce(factor).convert("L")
        )
        for y in range(0, image.height, step)
    ]
    grey = np.concatenate(strips).astype(np.int16)
    down, right = np.abs(np.diff(grey, axis=0)), np.abs(np.diff(grey, axis=1))
    noise = float(np.percentile(right[::3, ::3], 40)) / 0.524 if right.size else 0.0
    limit = max(12.0, 5 * noise)
    found = np.zeros(grey.shape, dtype=bool)
    found[:-1] |= down > limit
    found[:, :-1] |= right > limit
    return found


def _bands(inked: Flags, block: int) -> Iterator[_Band]:
    """Yield the stretches of running text in columns, block of rows by block of rows."""
    height, width = inked.shape
    clears: list[Flags] = []
    for top in range(0, height + block, block):
        here = _clear(inked[top : top + block]) if top < height else np.zeros(width, dtype=bool)
        both = here & _all(clears) if clears else here
        if _gutters(both) and not (len(clears) <= 2 and _by_chance(both, here)):
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
    """Leave out blocks where only words of a heading part at the gutter; three are the least."""
    if len(clears) < 3:
        return []
    left, right = max(_gutters(_all(clears)), key=lambda g: g[1] - g[0])
    own = [next(b - a for a, b in runs(c) if a <= left and b >= right) for c in clears]
    wide = np.array(own) >= 0.4 * median(own)
    return [(a, b) for a, b in runs(wide) if b - a >= 3]


def _apart(bands: Iterable[_Band]) -> list[_Band]:
    """Keep the taller of bands that overlap, from top to bottom."""
    kept: list[_Band] = []
    for band in sorted(bands, key=lambda b: b.top - b.bottom):
        if all(band.bottom <= other.top or band.top >= other.bottom for other in kept):
            kept.append(band)
    return sorted(kept, key=lambda b: b.top)


def _clear(rows: Flags) -> Flags:
    """Tell which columns of cells are free of ink but for dust; a vertical rule counts as ink."""
    return np.asarray(rows.mean(axis=0) <= _DUST)


def _gutters(clear: Flags) -> list[tuple[int, int]]:
    width = len(clear)
    least = max(3, math.ceil(_GUTTER * width))
    return [
        (a, b)
        for a, b in runs(clear)
        if b - a >= least and b > _SIDE * width and a < (1 - _SIDE) * width
    ]


def _by_chance(both: Flags, here: Flags) -> bool:
    """Tell whether words of a heading happen to part where a gutter begins."""
    now, shared = _gutters(here), _gutters(both)
    widest = max(b - a for a, b in now)
    return len(now) > len(shared) or widest > 2 * max(b - a for a, b in shared)


def _prose(inked: Flags, top: int, bottom: int, gutters: list[tuple[int, int]]) -> Iterator[_Band]:
    """Yield what around a band is text in columns, each page of it by itself."""
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
    heights = [b - a for a, b in runs(rows)]
    if not heights:
        return []
    wide = max(6.0, 3.5 * median(heights)) if len(heights) > 3 else math.inf
    cuts = [(a + b) // 2 for a, b in runs(~rows) if b - a >= wide and a > 0 and b < len(rows)]
    return list(pairwise([0, *cuts, len(rows)]))


def _are_columns(band: Flags, gutters: list[tuple[int, int]]) -> bool:
    """Tell running text from tables and receipts: its lines fill their columns."""
    edges = [0, *(x for gutter in gutters for x in gutter), band.shape[1]]
    parts = [_straightened(band[:, a:b]) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    measured = [_measured(part) for part in parts]
    widths = [ink.width for ink in measured]
    if min(widths) < _LEAST * band.shape[1] or max(widths) > _UNEVEN * min(widths):
        return False
    if min(ink.fill for ink in measured) < _FILLED:
        return False
    rows = np.stack([ink.rows for ink in measured])
    level = (rows.all(axis=0) | ~rows.any(axis=0)).mean() > _LEVEL
    if level and max(ink.indent for ink in measured) > _INDENT:
        return False
    reach = [(r.argmax(), len(r) - r[::-1].argmax()) for r in rows]
    shared = min(stop for _, stop in reach) - max(start for start, _ in reach)
    return bool(shared >= 0.4 * max(stop - start for start, stop in reach))


def _straightened(part: Flags) -> Flags:
    """Leave out vertical rules, which would make every row look full."""
    return part & (part.mean(axis=0) < 0.8)


def _line(part: Flags) -> float:
    """Return the height of a line in cells, seen in quarters of the column."""
    quarters = np.array_split(part, 4, axis=1)
    return median([b - a for q in quarters for a, b in runs(np.asarray(q.any(axis=1)))] or [0])


def _measured(part: Flags) -> _Ink:
    rows: Flags = np.asarray(part.any(axis=1))
    inked = np.flatnonzero(rows)
    if len(inked) < 16 or len(inked) < max(_DENSE * np.ptp(inked), 0.5 * _LINES * _line(part)):
        return _Ink(0, 0.0, 1.0, rows)
    columns = np.flatnonzero(part.any(axis=0))
    first = part[inked].argmax(axis=1)
    last = part.shape[1] - 1 - part[inked][:, ::-1].argmax(axis=1)
    width = int(columns[-1] - columns[0] + 1)
    fill = float(np.percentile((last - first + 1) / width, 60))
    return _Ink(width, fill, float(np.median(first - columns[0])) / width, rows)

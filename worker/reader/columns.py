"""Finds short columns of running text by where their lines lie, where ink alone says too little.

Lines of running text fill their column and begin at its left edge; cells of a table and what stands
beside the names of a form do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import mean, median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.reader.layout import Placed

    Column = list[Placed]

#: Lines that a column has at least.
_LINES = 2
#: Width of a gutter at least, and distance of left edges at most, in heights of a line.
_GUTTER, _FLUSH = 0.8, 0.6
#: Share of a column's lines that begin at its left edge.
_AT_EDGE = 0.7
#: Width of a column in heights of a line at least; widest over narrowest.
_WIDE, _UNEVEN = 9.0, 2.5
#: Share of its width that a line fills on average, and words that it has then at least.
_FILLED, _WORDS = 0.72, 3.0
#: From this code on each letter counts as a word.
_IDEOGRAPHS = 0x2E80
#: Share of the taller column's height that both have side by side.
_BESIDE = 0.5
#: Distance of the lines of one column, in heights of a line, at most.
_PITCH = 2.2


def part_columns(placed: Sequence[Placed]) -> Iterator[Sequence[Placed]]:
    """Yield the lines of each column, and of what lies around columns, in reading order."""
    ordered = sorted(placed, key=lambda one: one.middle[1])
    best = max(_find_columns(ordered), key=lambda columns: sum(map(len, columns)), default=None)
    if best is None:
        yield placed
        return
    inside = {id(one) for column in best for one in column}
    others = [one for one in ordered if id(one) not in inside]
    middle = min(one.middle[1] for column in best for one in column)
    above = [one for one in others if one.middle[1] < middle]
    below = [one for one in others if one.middle[1] >= middle]
    if above:
        yield from part_columns(above)
    yield from best
    if below:
        yield from part_columns(below)


def _find_columns(ordered: Sequence[Placed]) -> Iterator[list[Column]]:
    """Yield the columns that some stretch of these lines makes, in all ways that there are."""
    for gutter in _gutters(ordered):
        stretch: list[Placed] = []
        for one in [*ordered, None]:
            if one is not None and _side(one, gutter) is not None:
                stretch.append(one)
                continue
            columns = _split(_beside_each_other(stretch, gutter))
            if columns:
                yield columns
            stretch = []


def _gutters(lines: Sequence[Placed]) -> list[float]:
    """Return left edges at which several lines begin, but for the first."""
    edges: list[float] = []
    lefts = sorted(one.left for one in lines)
    flush = _FLUSH * median([one.height for one in lines] or [0])
    for edge, following in pairwise(lefts):
        if following - edge <= flush and (not edges or edge - edges[-1] > flush):
            edges.append(edge)
    return edges[1:] if edges and edges[0] - lefts[0] <= flush else edges


def _side(one: Placed, gutter: float) -> int | None:
    """Return 0 for a line before a gutter, 1 for one behind it, None for one that crosses it."""
    if one.left >= gutter - _FLUSH * one.height:
        return 1
    return 0 if one.right <= gutter - _GUTTER * one.height else None


def _beside_each_other(stretch: Sequence[Placed], gutter: float) -> Column:
    """Leave out what lies above both columns, or too far below in one of them."""
    sides = [[one for one in stretch if _side(one, gutter) == side] for side in (0, 1)]
    if not all(sides):
        return []
    first = max(side[0].top for side in sides)
    kept: Column = []
    for side in sides:
        level = [one for one in side if one.bottom > first]
        for number, one in enumerate(level):
            above = level[max(0, number - 1)]
            if one.middle[1] - above.middle[1] > _PITCH * above.height:
                break
            kept.append(one)
    return sorted(kept, key=lambda one: one.middle[1])


def _split(lines: Sequence[Placed]) -> list[Column]:
    """Return the columns side by side that all of these lines make; none if they make none."""
    for gutter in _gutters(lines):
        sides = [_side(one, gutter) for one in lines]
        if None in sides:
            continue
        first = [one for one, side in zip(lines, sides, strict=True) if side == 0]
        rest = [one for one, side in zip(lines, sides, strict=True) if side == 1]
        if not _is_column(first):
            continue
        others = [rest] if _is_column(rest) else _split(rest)
        columns = [first, *others]
        if others and _are_even(columns):
            return columns
    return []


def _is_column(lines: Sequence[Placed]) -> bool:
    if len(lines) < _LINES:
        return False
    left, height = median(one.left for one in lines), median(one.height for one in lines)
    width = max(one.right for one in lines) - left
    at_edge = mean(abs(one.left - left) <= _FLUSH * height for one in lines)
    # a paragraph's last line is as short as it happens to be
    filled = mean(one.width / max(1.0, width) for one in lines[:-1])
    words = mean(_count_words(one.fragment.text) for one in lines)
    is_wide = width >= _WIDE * height and words >= _WORDS
    return is_wide and at_edge >= _AT_EDGE and filled >= _FILLED


def _count_words(text: str) -> int:
    return len(text.split()) + sum(ord(letter) >= _IDEOGRAPHS for letter in text)


def _are_even(columns: Sequence[Column]) -> bool:
    """Tell whether columns are about as wide, and lie side by side."""
    widths = [max(p.right for p in c) - min(p.left for p in c) for c in columns]
    tops = [min(p.top for p in c) for c in columns]
    bottoms = [max(p.bottom for p in c) for c in columns]
    tallest = max(b - t for t, b in zip(tops, bottoms, strict=True))
    shared = min(bottoms) - max(tops)
    return max(widths) <= _UNEVEN * min(widths) and shared >= _BESIDE * tallest

"""Finds where to cut a window: in a gap between lines of text, or where there is least ink.

The constants are tuned with `make tiling`: no line of its pages may be lost, doubled or misplaced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np

from worker.tiling.ink import Flags, Window, find_runs

#: Strips side by side in which the slope of lines is measured.
_STRIPS = 8
#: Rows of a gap at least; between words also this share of the letters' height.
_GAP_ROWS, _GAP_SHARE = 2, 0.25
#: A gap between words that is wider than so many letter heights parts one sign from the next.
_SIGN_GAP = 2
#: A gap between lines is nothing special up to a line's height, or so many usual gaps.
_USUAL_GAPS = 2
#: A gap within a line is thinner than this share of the line's height, and lies beside ink that
#: is lower than that share of it, such as an accent.
_THIN, _LOW = 0.5, 0.4
#: A gap is wide enough at this many line heights.
_ENOUGH = 1.5
#: Between words, a gap of less than this share of what is enough lies within a word.
_WORD_GAP = 0.6
#: What the whole reach away from the wanted row costs, where a gap wide enough is worth 1.
_DISTANCE_COST = 0.3
#: Rows of ink that a line has at least; its height where there is no text.
_LINE_ROWS, _NO_TEXT = 4, 16
#: Rows that a line takes with its spacing, in heights of its ink.
_PITCH = 1.5
#: Ink nearer than this share of a line's height joins it, if both are no taller than so many lines.
_JOINED, _JOINED_HEIGHT = 0.3, 1.6
#: Ink of more than this share of a line's height is a line.
_LINE_SHARE = 0.3
#: Share of a line's height by which it may rise or fall from one strip to the next.
_STRIP_DRIFT = 0.7


@dataclass(frozen=True, slots=True)
class Gap:
    """A clean cut before row `at` of a window."""

    at: int
    #: Wider than the gaps around it, and no rule crosses it.
    wide: bool


@dataclass(frozen=True, slots=True)
class _Blank:
    """A run of blank rows."""

    start: int
    stop: int
    #: Between parts of one line, such as a letter and its accent.
    within: bool

    @property
    def size(self) -> int:
        return self.stop - self.start


def clean_gap(
    window: Window, wanted: int, first: int, last: int, letters: float | None = None
) -> Gap | None:
    """Find the best gap to cut in at a row from `first` to `last`, wide and near `wanted`.

    For cuts between words `letters` is the height of the text in pixels: gaps within a word do not
    count then, and gaps that are wider than a few blanks part one sign from the next.
    """
    least = _GAP_ROWS if letters is None else max(_GAP_ROWS, math.ceil(_GAP_SHARE * letters))
    doubtful: Gap | None = None
    for threshold in window.thresholds():
        flags = window.blank(threshold)
        tall = _line_height(flags)
        blanks = _blanks(flags, tall if letters is None else 0.0, least)
        for within in (False, True):
            options = [b for b in blanks if b.within is within]
            chosen = _best(options, tall, wanted, first, last, letters)
            if chosen is None:
                continue
            blank, at = chosen
            above = _usual(blanks, tall) if letters is None else _SIGN_GAP * letters
            gap = Gap(at, blank.size > above and not window.ruled[at - 1 : at + 1].any())
            if not within:
                return gap
            doubtful = doubtful or gap
    return doubtful


def least_ink(window: Window, wanted: int, first: int, last: int) -> int:
    """Return the row from `first` to `last` with the least ink, the nearest to `wanted` first."""
    ink = window.ink(window.thresholds()[0])[first : last + 1]
    distance = np.abs(np.arange(first, first + len(ink)) - wanted)
    return first + int(np.lexsort((distance, ink))[0])


def line_extent(window: Window) -> int | None:
    """Return the rows that a line of text takes with spacing and slope; None without text."""
    threshold = window.thresholds()[-1]
    columns = window.edges.shape[1]
    strips = [
        ~window.blank(threshold, slice(n * columns // _STRIPS, (n + 1) * columns // _STRIPS))
        for n in range(_STRIPS)
    ]
    heights = [b - a for strip in strips for a, b in find_runs(strip)]
    likely = [height for height in heights if _LINE_ROWS <= height < len(window.edges) // 2]
    if not likely:
        return None
    tall = round(median(likely))
    return round(_PITCH * tall) + abs(_drift(strips, tall))


def line_height(window: Window) -> float:
    """Return the usual height of the ink of a line of text, in rows."""
    heights = [b - a for a, b in find_runs(~window.blank(window.thresholds()[0]))]
    return float(median([h for h in heights if 2 * h >= max(heights)] or [_NO_TEXT]))


def line_middles(window: Window) -> list[int]:
    """Return the middle row of each line of text."""
    return [(start + stop) // 2 for start, stop in line_spans(window)]


def line_spans(window: Window) -> list[tuple[int, int]]:
    """Return the first row of ink of each line of text, and the first after it."""
    flags = window.blank(window.thresholds()[0])
    tall = _line_height(flags)
    lines: list[tuple[int, int]] = []
    for start, stop in find_runs(~flags):
        if lines and _is_joined(lines[-1], (start, stop), tall):
            lines[-1] = (lines[-1][0], stop)
        elif stop - start > _LINE_SHARE * tall:
            lines.append((start, stop))
    return lines


def _is_joined(line: tuple[int, int], ink: tuple[int, int], tall: float) -> bool:
    """Tell whether ink below a line is part of it, such as the dot of a question mark."""
    return ink[0] - line[1] < _JOINED * tall and ink[1] - line[0] < _JOINED_HEIGHT * tall


def _line_height(blank: Flags) -> float:
    heights = [stop - start for start, stop in find_runs(~blank) if stop - start >= _LINE_ROWS]
    return float(median(heights)) if heights else float(_NO_TEXT)


def _blanks(flags: Flags, tall: float, least: int) -> list[_Blank]:
    """Find the gaps of at least so many rows; those within a line are thin, beside low ink."""
    inked = find_runs(~flags)
    spans = [s for s in find_runs(flags) if s[1] - s[0] >= least]
    low = {edge for a, b in inked if b - a < _LOW * tall for edge in (a, b)}
    return [
        _Blank(a, b, b - a < _THIN * tall and (a in low or b in low) and len(inked) > 1)
        for a, b in spans
    ]


def _best(
    blanks: list[_Blank], tall: float, wanted: int, first: int, last: int, letters: float | None
) -> tuple[_Blank, int] | None:
    """Weigh width against distance from `wanted`; the first of equals."""
    places = [(b, _place(b, letters or tall, wanted, first, last)) for b in blanks]
    options = [(b, at) for b, at in places if at is not None]
    if not options:
        return None
    wide = _ENOUGH * tall if letters is None else _SIGN_GAP * letters
    enough = min(wide, max(b.size for b, _ in options))
    if letters is not None:
        options = [(b, at) for b, at in options if b.size >= _WORD_GAP * enough]
    reach = max(1, last - first)

    def worth(option: tuple[_Blank, int]) -> float:
        blank, at = option
        return min(blank.size, enough) / enough - _DISTANCE_COST * abs(at - wanted) / reach

    return max(options, key=worth)


def _place(blank: _Blank, tall: float, wanted: int, first: int, last: int) -> int | None:
    """Return the row of a gap to cut at: its middle, or nearer to `wanted` in a wide one."""
    margin = min(blank.size // 2, round(tall))
    at = min(max(wanted, blank.start + margin), blank.stop - margin)
    at = min(max(at, first), last)
    return at if blank.start < at < blank.stop else None


def _usual(blanks: list[_Blank], tall: float) -> float:
    """Return the size up to which a gap between lines says nothing."""
    return max(tall, _USUAL_GAPS * median([b.size for b in blanks if not b.within] or [0]))


def _drift(strips: list[Flags], tall: int) -> int:
    """Return by how many rows lines rise or fall over the width, added up from strip to strip."""
    total = 0
    reach = max(1, round(_STRIP_DRIFT * tall))
    for left, right in pairwise(strips):
        shifts = range(-reach, reach + 1)
        agreement = [
            int((left[reach:-reach] == np.roll(right, -s)[reach:-reach]).sum()) for s in shifts
        ]
        best = max(zip(agreement, (-abs(s) for s in shifts), shifts, strict=True))
        total += best[2]
    return round(total * _STRIPS / (_STRIPS - 1))

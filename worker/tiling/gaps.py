"""Where a window is cut: in a gap between lines of text, or where there is least ink."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np

from worker.tiling.ink import Flags, Window, runs

_STRIPS = 8


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

    For cuts between words `letters` is the height of the text in pixels: gaps within a word are
    none then, and gaps that are wider than a few blanks part one sign from the next.
    """
    least = 2 if letters is None else max(2, math.ceil(0.25 * letters))
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
            above = _usual(blanks, tall) if letters is None else 2 * letters
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
    """Return rows that a line of text takes with its spacing and its slope, None without text."""
    threshold = window.thresholds()[-1]
    columns = window.edges.shape[1]
    strips = [
        ~window.blank(threshold, slice(n * columns // _STRIPS, (n + 1) * columns // _STRIPS))
        for n in range(_STRIPS)
    ]
    heights = [b - a for strip in strips for a, b in runs(strip) if 3 < b - a < len(strip) // 2]
    if not heights:
        return None
    tall = round(median(heights))
    return round(1.5 * tall) + abs(_drift(strips, tall))


def line_height(window: Window) -> float:
    """Return the usual height of the ink of a line of text."""
    heights = [b - a for a, b in runs(~window.blank(window.thresholds()[0]))]
    return float(median([h for h in heights if 2 * h >= max(heights)] or [16]))


def line_middles(window: Window) -> list[int]:
    """Return the middle row of each line of text."""
    flags = window.blank(window.thresholds()[0])
    tall = _line_height(flags)
    found: list[tuple[int, int]] = []
    for start, stop in runs(~flags):
        if found and start - found[-1][1] < 0.3 * tall and stop - found[-1][0] < 1.6 * tall:
            found[-1] = (found[-1][0], stop)
        elif stop - start > 0.3 * tall:
            found.append((start, stop))
    return [(start + stop) // 2 for start, stop in found]


def _line_height(blank: Flags) -> float:
    heights = [stop - start for start, stop in runs(~blank) if stop - start >= 4]
    return float(median(heights)) if heights else 16.0


def _blanks(flags: Flags, tall: float, least: int) -> list[_Blank]:
    """Find the gaps, and tell those within a line: thin, beside a mere part of a letter."""
    inked = runs(~flags)
    spans = [s for s in runs(flags) if s[1] - s[0] >= least]
    short = {edge for a, b in inked if b - a < 0.4 * tall for edge in (a, b)}
    return [
        _Blank(a, b, b - a < 0.5 * tall and (a in short or b in short) and len(inked) > 1)
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
    enough = min(letters or 1.5 * tall, max(b.size for b, _ in options))
    if letters is not None:
        # a wide letter gap is no gap beside those between words
        options = [(b, at) for b, at in options if b.size >= 0.6 * enough]
    reach = max(1, last - first)
    return max(
        options, key=lambda o: min(o[0].size, enough) / enough - 0.3 * abs(o[1] - wanted) / reach
    )


def _place(blank: _Blank, tall: float, wanted: int, first: int, last: int) -> int | None:
    """Return the row of a gap to cut at: its middle, or nearer to `wanted` in a wide one."""
    margin = min(blank.size // 2, round(tall))
    at = min(max(wanted, blank.start + margin), blank.stop - margin)
    at = min(max(at, first), last)
    return at if blank.start < at < blank.stop else None


def _usual(blanks: list[_Blank], tall: float) -> float:
    """Return the size up to which a gap between lines says nothing."""
    return max(tall, 2 * median([b.size for b in blanks if not b.within] or [0]))


def _drift(strips: list[Flags], tall: int) -> int:
    """Rows by which lines rise or fall over the width, from strip to strip."""
    total = 0
    reach = max(1, round(0.7 * tall))
    for left, right in pairwise(strips):
        shifts = range(-reach, reach + 1)
        agreement = [
            int((left[reach:-reach] == np.roll(right, -s)[reach:-reach]).sum()) for s in shifts
        ]
        best = max(zip(agreement, (-abs(s) for s in shifts), shifts, strict=True))
        total += best[2]
    return round(total * _STRIPS / (_STRIPS - 1))

"""Where each word of a sheet's lines stands, as exactly as that is known."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from gateway.results.scans.plain_words import is_row, plain_text
from gateway.results.scans.quads import (
    Quad,
    level,
    quad_of,
    size_of,
    slanted_part,
)
from gateway.results.scans.sheets import Sheet
from shared.jobs.answers.lines import cut_across, cut_along

#: Heights of rows in heights of letters, and how much higher a box is that has several rows.
_ROW, _SEVERAL = 1.3, 2.0
#: A line whose place is not known is written so small, as a share of its sheet.
_SMALL = 1 / 200
_WIDE, _NARROW, _BLANK, _USUAL, _LARGE = 1.0, 0.3, 0.28, 0.52, 0.66
_LETTERS = {**dict.fromkeys("ijltf.,:;'|!()[]I", _NARROW), **dict.fromkeys("mwMW@%", 0.85)}
#: A word, or a letter of a script that puts no blanks between words.
_PIECE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]|[^\s\u2e80-\u9fff\uf900-\uffef]+")


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in one row, and the slanted box of it."""

    text: str
    quad: Quad


def runs_by_line(sheet: Sheet) -> Iterator[list[Run]]:
    """Yield the runs of each line, in order.

    A line whose place is not known stands in very small letters below the one before it, so that
    the page is found by it all the same.
    """
    left, bottom = 0.0, 0.0
    for line in sheet.lines:
        if line.get("box"):
            left, bottom = line["box"][0], line["box"][3]
            yield line_runs(line)
            continue
        text = plain_text(line["text"], row=is_row(line["text"]))
        if not text:
            continue
        height = sheet.height * _SMALL
        left = min(left, sheet.width * 0.9)
        right = min(sheet.width, left + text_width(text) * height)
        # a gap keeps it apart from the line above
        top = min(bottom + height, sheet.height - height)
        bottom = top + height
        yield [Run(text, ((left, top), (right, top), (right, bottom), (left, bottom)))]


def line_runs(line: Mapping[str, Any]) -> list[Run]:
    """Return the runs of a line that has a place."""
    quad = quad_of(line["polygon"])
    row = is_row(line["text"])
    parts = line.get("words") or line.get("cells")
    if not parts:
        return list(_spread(plain_text(line["text"], row=row), quad))
    texts = [plain_text(part["text"], row=row) for part in parts]
    named = [(text, part["box"]) for text, part in zip(texts, parts, strict=True) if text]
    quads = [slanted_part(box, quad) if box else None for _, box in named]
    return [
        run
        for (text, _), place in zip(named, _fill_gaps(quads, quad), strict=True)
        for run in _spread(text, place)
    ]


def text_width(text: str) -> float:
    """Return about how wide a text is, in heights of its font."""
    return sum(map(_char_width, text))


def _char_width(char: str) -> float:
    if char in _LETTERS:
        return _LETTERS[char]
    if char == " ":
        return _BLANK
    if unicodedata.east_asian_width(char) in "WF":
        return _WIDE
    return _LARGE if char.isupper() else _USUAL


def _fill_gaps(quads: Sequence[Quad | None], line: Quad) -> Iterator[Quad]:
    """Yield each place, of parts without one those between their neighbours."""
    at = 0
    while at < len(quads):
        place = quads[at]
        if place is not None:
            yield place
            at += 1
            continue
        stop = next((n for n in range(at, len(quads)) if quads[n] is not None), len(quads))
        before, behind = quads[at - 1] if at else None, quads[stop] if stop < len(quads) else None
        gap = _gap(before, behind, line)
        for number in range(stop - at):
            yield cut_along(gap, (number + 0.1) / (stop - at), (number + 0.9) / (stop - at))
        at = stop


def _gap(before: Quad | None, behind: Quad | None, line: Quad) -> Quad:
    top_left, bottom_left = (before[1], before[2]) if before else (line[0], line[3])
    top_right, bottom_right = (behind[0], behind[3]) if behind else (line[1], line[2])
    return top_left, top_right, bottom_right, bottom_left


def _spread(text: str, quad: Quad) -> Iterator[Run]:
    """Yield the words of a text that fills a box, by how wide their letters are."""
    rows = _row_count(text, quad)
    for number, words in enumerate(_break_rows(text, rows)):
        yield from _spread_row(words, cut_across(quad, number / rows, (number + 1) / rows))


def _row_count(text: str, quad: Quad) -> int:
    width, height = size_of(quad)
    units = text_width(text)
    if not width or not units or height * units < _SEVERAL * width:
        return 1
    # a text that is taller than wide may be one word that runs down
    rows = round(math.sqrt(height * units / (_ROW * width)))
    return max(1, min(rows, len(_PIECE.findall(text))))


def _break_rows(text: str, rows: int) -> list[list[str]]:
    if rows == 1:
        return [text.split()]
    pieces = _PIECE.findall(text)
    stops = list(accumulate(text_width(piece) + _BLANK for piece in pieces))
    broken: list[list[str]] = [[] for _ in range(rows)]
    for piece, (start, stop) in zip(pieces, pairwise([0.0, *stops]), strict=True):
        broken[min(rows - 1, int((start + stop) / 2 / stops[-1] * rows))].append(piece)
    return broken


def _spread_row(words: Sequence[str], quad: Quad) -> Iterator[Run]:
    widths = [text_width(word) for word in words]
    total = sum(widths) + _BLANK * (len(words) - 1)
    start = 0.0
    for word, width in zip(words, widths, strict=True):
        yield Run(word, level(cut_along(quad, start / total, (start + width) / total)))
        start += width + _BLANK

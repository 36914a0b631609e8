"""Puts words together to rows: what a reader takes in from one side to the other."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from shared.documents.model import Box, TextLine, TextWord
from shared.documents.text.words import Word, join

#: Letters of one row may differ so much in size, as exponents do.
_MOST_TALLER = 2.2
_LEAST_OVERLAP = 0.5
#: Parts of a row's height.
_SPACE_GAP = 0.12
_CELL_GAP = 1.6


def find_rows(words: list[Word]) -> list[list[Word]]:
    """Return the rows of words, from top to bottom, each in the order in which it is read."""
    rows: list[list[Word]] = []
    for word in sorted(words, key=lambda one: one.middle):
        # rows are few that are near enough: the last ones
        near = next((row for row in reversed(rows[-4:]) if _belongs(word, row)), None)
        if near is None:
            rows.append([word])
        else:
            near.append(word)
    rows.sort(key=lambda row: median(word.middle for word in row))
    return [_in_order(row) for row in rows]


def make_line(row: list[Word]) -> TextLine:
    """Return a row as a line; wide gaps, as between the cells of a table, become tabs."""
    height = median(word.height for word in row)
    text = row[0].text
    for before, word in pairwise(row):
        text += _separator(before, word, height) + word.text
    words = tuple(TextWord(word.text, word.ink) for word in row)
    return TextLine(text, join([word.ink for word in row]), words)


def row_box(row: list[Word]) -> Box:
    """Return the room of a row."""
    return join([word.room for word in row])


def _belongs(word: Word, row: list[Word]) -> bool:
    top, bottom = median(w.room[1] for w in row), median(w.room[3] for w in row)
    height, smaller = bottom - top, min(bottom - top, word.height)
    overlap = min(bottom, word.room[3]) - max(top, word.room[1])
    alike = max(height, word.height) <= _MOST_TALLER * max(smaller, 0.1)
    return alike and overlap >= _LEAST_OVERLAP * smaller


def _in_order(row: list[Word]) -> list[Word]:
    backwards = sum(word.right_to_left for word in row) > 0
    return sorted(row, key=lambda word: -word.room[2] if backwards else word.room[0])


def _separator(before: Word, word: Word, height: float) -> str:
    gap = max(word.room[0] - before.room[2], before.room[0] - word.room[2])
    if gap > _CELL_GAP * height:
        return "\t"
    return " " if word.spaced or gap > _SPACE_GAP * height else ""

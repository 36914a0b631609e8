"""Puts words together to rows: what a reader takes in from one side to the other."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from shared.documents.model import TextLine, TextWord
from shared.documents.text.words import Word, join

#: Letters of one row may differ so much in size, as exponents do.
_MOST_TALLER = 2.2
_LEAST_OVERLAP = 0.5
_NEAR_ROWS = 4
#: No letter before it is read from right to left.
_FIRST_HEBREW = "\u0590"
#: Parts of a row's height.
_SPACE_GAP = 0.12
_CELL_GAP = 1.6


class _Row:
    """Words of one row, and where it lies: the mean of its words."""

    def __init__(self, word: Word) -> None:
        self.words = [word]
        self.top, self.bottom = word.room[1], word.room[3]

    def takes(self, word: Word) -> bool:
        """Add a word if it stands in this row."""
        height = self.bottom - self.top
        smaller = min(height, word.height)
        overlap = min(self.bottom, word.room[3]) - max(self.top, word.room[1])
        alike = max(height, word.height) <= _MOST_TALLER * max(smaller, 0.1)
        if not alike or overlap < _LEAST_OVERLAP * smaller:
            return False
        self.words.append(word)
        part = 1 / len(self.words)
        self.top += (word.room[1] - self.top) * part
        self.bottom += (word.room[3] - self.bottom) * part
        return True


def find_rows(words: list[Word]) -> list[list[Word]]:
    """Return the rows of words, from top to bottom, each in the order in which it is read."""
    rows: list[_Row] = []
    for word in sorted(words, key=_middle):
        # only the last rows are near enough
        if not any(row.takes(word) for row in reversed(rows[-_NEAR_ROWS:])):
            rows.append(_Row(word))
    rows.sort(key=lambda row: row.top + row.bottom)
    return [_in_order(row.words) for row in rows]


def _middle(word: Word) -> float:
    return word.room[1] + word.room[3]


def make_line(row: list[Word]) -> TextLine:
    """Return a row as a line; wide gaps, as between the cells of a table, become tabs."""
    height = median(word.height for word in row)
    text = row[0].text
    for before, word in pairwise(row):
        text += _separator(before, word, height) + word.text
    words = tuple(TextWord(word.text, word.ink) for word in row)
    return TextLine(text, join([word.ink for word in row]), words)


def _in_order(row: list[Word]) -> list[Word]:
    backwards = any(_has_right_to_left(word.text) for word in row) and (
        sum(word.right_to_left for word in row) > 0
    )
    return sorted(row, key=lambda word: -word.room[2] if backwards else word.room[0])


def _has_right_to_left(text: str) -> bool:
    return max(text) >= _FIRST_HEBREW


def _separator(before: Word, word: Word, height: float) -> str:
    gap = max(word.room[0] - before.room[2], before.room[0] - word.room[2])
    if gap > _CELL_GAP * height:
        return "\t"
    return " " if word.spaced or gap > _SPACE_GAP * height else ""

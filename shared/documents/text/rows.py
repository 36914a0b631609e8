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
#: A gap between cells that is no wider is told by others at the same place: so many of the rows
#: nearest above and below, which share this part of it.
_NARROW_CELL_GAP, _SHARED = 0.75, 0.6
_NEAR, _LEAST_SHARING = 3, 2
#: A row with more gaps is no table's.
_MOST_CELLS = 80

#: Where a gap begins and ends, from left to right.
Gap = tuple[float, float]


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


def make_lines(rows: list[list[Word]]) -> list[TextLine]:
    """Return the rows of a page as lines; gaps as between the cells of a table become tabs.

    A narrow one is such a gap where rows above or below have one at the same place.
    """
    gaps = [_gaps_of_cells(row) for row in rows]
    return [
        _make_line(
            row, _shared_gaps(own, gaps[max(0, at - _NEAR) : at] + gaps[at + 1 : at + 1 + _NEAR])
        )
        for at, (row, own) in enumerate(zip(rows, gaps, strict=True))
    ]


def _gaps_of_cells(row: list[Word]) -> list[Gap]:
    """Return where between two words of a row two cells could meet."""
    height = median(word.height for word in row)
    sides = (sorted((a, b), key=lambda word: word.room[0]) for a, b in pairwise(row))
    gaps = [(left.room[2], right.room[0]) for left, right in sides]
    wide = [(a, b) for a, b in gaps if b - a > _NARROW_CELL_GAP * height]
    return wide if len(wide) <= _MOST_CELLS else []


def _shared_gaps(gaps: list[Gap], others: list[list[Gap]]) -> set[Gap]:
    """Return those gaps at whose places enough other rows have one too."""
    return {
        (a, b)
        for a, b in gaps
        if sum(any(min(b, d) - max(a, c) > _SHARED * (b - a) for c, d in row) for row in others)
        >= _LEAST_SHARING
    }


def _make_line(row: list[Word], cells: set[Gap]) -> TextLine:
    height = median(word.height for word in row)
    text = row[0].text
    for before, word in pairwise(row):
        left, right = sorted((before, word), key=lambda one: one.room[0])
        apart = (left.room[2], right.room[0]) in cells
        text += ("\t" if apart else _separator(before, word, height)) + word.text
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

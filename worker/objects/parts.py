"""The parts of a text that was looked for: what of it stands in each line, and where exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from shared.jobs.answers.lines import Corner, Corners, cut_along
from worker.evidence.plain_text import plain_letters, print_width
from worker.evidence.sheet_text import SeenText, SheetText

#: Heights of a line between it and the next one: at least, at most.
_NEXT = (0.3, 3.0)


@dataclass(frozen=True, slots=True)
class TextPart:
    """Letters of one line, as they were seen."""

    text: str
    corners: Corners
    confidence: float
    #: The number of its line within the sheet.
    line: int


def cut_parts(sheet: SheetText, start: int, stop: int) -> list[TextPart]:
    """Return the letters of a sheet from one to another, excluded, line by line."""
    words = [
        (sheet.words[owner], _numbers(sheet, owner, numbers))
        for owner, numbers in groupby(range(start, stop), key=lambda at: sheet.owners[at])
    ]
    return [_join(list(line)) for _, line in groupby(words, key=lambda one: one[0].line)]


def _numbers(sheet: SheetText, owner: int, letters: Iterator[int]) -> range:
    """Return the numbers that letters of a sheet have within their word."""
    first = sheet.first_letters[owner]
    numbers = [letter - first for letter in letters]
    return range(numbers[0], numbers[-1] + 1)


def _join(words: Sequence[tuple[SeenText, range]]) -> TextPart:
    """Return words of one line, of the first and last those letters alone that are meant."""
    cuts = [_cut(word, numbers) for word, numbers in words]
    first, last = cuts[0][1], cuts[-1][1]
    return TextPart(
        text=" ".join(text for text, _ in cuts),
        corners=(first[0], last[1], last[2], first[3]),
        confidence=min(word.confidence for word, _ in words),
        line=words[0][0].line,
    )


def _cut(word: SeenText, numbers: range) -> tuple[str, Corners]:
    """Return some of a word's plain letters as they are printed, and where."""
    origins = [at for at, char in enumerate(word.text) for _ in plain_letters(char)]
    first, last = origins[numbers[0]], origins[numbers[-1]]
    widths = [print_width(char) for char in word.text]
    total = sum(widths) or 1
    start, stop = sum(widths[:first]) / total, sum(widths[: last + 1]) / total
    return word.text[first : last + 1], cut_along(word.corners, start, stop)


def follow(sheet: SheetText, parts: Sequence[TextPart]) -> bool:
    """Tell whether each part stands in the line below the one before: a text that was broken."""
    return all(
        after.line == before.line + 1 and _is_next(sheet, before.line, after.line)
        for before, after in pairwise(parts)
    )


def _is_next(sheet: SheetText, line: int, below: int) -> bool:
    upper, lower = _ends(sheet, line), _ends(sheet, below)
    down = _vector(upper[0].corners[0], upper[0].corners[3])
    height = math.hypot(*down)
    if not height:
        return False
    across = (down[1] / height, -down[0] / height)
    drop = _along(_vector(upper[0].corners[0], lower[0].corners[0]), down) / height
    starts, stops = (
        [_along(one[end].corners[side], across) for one in (upper, lower)]
        for end, side in ((0, 0), (1, 1))
    )
    return _NEXT[0] <= drop / height <= _NEXT[1] and max(starts) < min(stops)


def _ends(sheet: SheetText, line: int) -> tuple[SeenText, SeenText]:
    first, behind = sheet.line_words[line]
    return sheet.words[first], sheet.words[behind - 1]


def _vector(one: Corner, other: Corner) -> tuple[float, float]:
    return other[0] - one[0], other[1] - one[1]


def _along(place: Corner, direction: Corner) -> float:
    return place[0] * direction[0] + place[1] * direction[1]

"""The words that were seen on one image or page, as values are looked up among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import accumulate

from shared.jobs.answers.lines import Box, Corners, TextLine, box_around, corners_of, cut_along
from worker.evidence.dates import Day, find_dates
from worker.evidence.numbers import find_numbers, read_number
from worker.evidence.plain_text import narrow, plain_letters, print_width

#: Behind the colon of a label.
_TOUCHING = re.compile(r"(?<=[^\W\d][:：])(?=[^\s/])")


@dataclass(frozen=True, slots=True)
class SeenText:
    """A word with its place."""

    text: str
    box: Box
    #: Which line of its sheet it is part of.
    line: int
    #: Probability that it was seen right; 1 in the text of a file.
    confidence: float
    #: Of its box, as the text runs.
    corners: Corners

    @property
    def plain(self) -> str:
        """Return it as it is compared."""
        return plain_letters(self.text)


@dataclass(frozen=True, slots=True)
class Span:
    """Words of a sheet that follow each other, the last excluded."""

    sheet: int
    first: int
    stop: int


class SheetText:
    """The words of an image or page in reading order."""

    def __init__(self, lines: Sequence[TextLine], number: int) -> None:
        """Take the lines of one sheet; `number` is its place among all."""
        self.number = number
        self.image, self.page = (lines[0].image, lines[0].page) if lines else (None, None)
        self.words = [word for at, line in enumerate(lines) for word in _words_of(line, at)]

    @cached_property
    def plains(self) -> list[str]:
        """Return each word as it is compared."""
        return [word.plain for word in self.words]

    @cached_property
    def letters(self) -> str:
        """Return the letters of all words, without blanks."""
        return "".join(self.plains)

    @cached_property
    def owners(self) -> list[int]:
        """Return the number of the word of each letter."""
        return [number for number, plain in enumerate(self.plains) for _ in plain]

    @cached_property
    def first_letters(self) -> list[int]:
        """Return the number of the first letter of each word."""
        return [0, *accumulate(map(len, self.plains))][: len(self.words)]

    @cached_property
    def line_words(self) -> dict[int, tuple[int, int]]:
        """Return of each line its first word, and the one behind its last."""
        spans: dict[int, tuple[int, int]] = {}
        for number, word in enumerate(self.words):
            spans[word.line] = (spans.get(word.line, (number, 0))[0], number + 1)
        return spans

    def letters_of(self, span: Span) -> tuple[int, int]:
        """Return the first letter of some words, and the one behind their last."""
        last = span.stop - 1
        return self.first_letters[span.first], self.first_letters[last] + len(self.plains[last])

    @cached_property
    def lines(self) -> list[tuple[int, str, list[int]]]:
        """Return of each line its first word, its narrow text, and the word of each character."""
        lines: list[tuple[int, str, list[int]]] = []
        at = 0
        while at < len(self.words):
            stop = at
            text, owners = "", list[int]()
            while stop < len(self.words) and self.words[stop].line == self.words[at].line:
                piece = narrow(self.words[stop].text) + " "
                text += piece
                owners += [stop] * len(piece)
                stop += 1
            lines.append((at, text, owners))
            at = stop
        return lines

    @cached_property
    def numbers(self) -> list[tuple[Span, frozenset[Decimal]]]:
        """Return the places of all numbers, and the values that each may have."""
        return [
            (self._span(owners, start, stop), frozenset(read_number(printed)))
            for _, line, owners in self.lines
            for start, stop, printed in find_numbers(line)
        ]

    @cached_property
    def days(self) -> list[tuple[Span, frozenset[Day]]]:
        """Return the places of all dates, and the days that each may mean."""
        return [
            (self._span(owners, start, stop), days)
            for _, line, owners in self.lines
            for start, stop, days in find_dates(line)
        ]

    def _span(self, owners: Sequence[int], start: int, stop: int) -> Span:
        return Span(self.number, owners[start], owners[stop - 1] + 1)

    @cached_property
    def vocabulary(self) -> list[str]:
        """Return its words, each once, without signs around them."""
        return list({word.strip(".,:;#()*|-") for word in self.plains})

    @cached_property
    def width(self) -> float:
        """Return how far its words reach."""
        return max((word.box[2] for word in self.words), default=1)

    def box_of(self, span: Span) -> Box:
        """Return the box around some words."""
        corners = [
            corner
            for word in self.words[span.first : span.stop]
            for corner in (word.box[:2], word.box[2:])
        ]
        left, top, right, bottom = box_around([(x, y) for x, y in corners])
        return left, top, right, bottom

    def text_of(self, span: Span) -> str:
        """Return the words as they were seen."""
        return " ".join(word.text for word in self.words[span.first : span.stop])

    def confidence_of(self, span: Span) -> float:
        """Return how sure it is that the words were seen right."""
        some = self.words[span.first : span.stop]
        return min((word.confidence for word in some), default=0.0)


def _words_of(line: TextLine, at: int) -> Iterator[SeenText]:
    sure = 1.0 if line.confidence is None else line.confidence
    for word in line.words or ():
        if word.box is not None and word.text.strip():
            corners = word.corners or corners_of(word.box)
            for text, box, part in _part_label(word.text, word.box, corners):
                yield SeenText(text, box, at, sure, part)


def _part_label(text: str, box: Box, corners: Corners) -> Iterator[tuple[str, Box, Corners]]:
    """Yield a word; a label and a value that touch it as two."""
    left, top, right, bottom = box
    start, width = 0.0, sum(map(print_width, text)) or 1.0
    for part in _TOUCHING.split(text):
        stop = start + sum(map(print_width, part))
        shares = (start / width, stop / width)
        places = [left + (right - left) * share for share in shares]
        yield part, (places[0], top, places[1], bottom), cut_along(corners, *shares)
        start = stop


def sheets_of(lines: Sequence[TextLine]) -> list[SheetText]:
    """Return the sheets of lines that have places, in order."""
    by_sheet: dict[tuple[int | None, int | None], list[TextLine]] = {}
    for line in lines:
        by_sheet.setdefault((line.image, line.page), []).append(line)
    return [SheetText(some, number) for number, some in enumerate(by_sheet.values())]

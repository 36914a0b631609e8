"""Gives the lines of a text their places: boxes of lines, of words, and of a table's cells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shared.jobs.answers.lines import (
    ALONG,
    Box,
    Boxes,
    Corners,
    PlacedText,
    SeenPiece,
    TextLine,
    box_around,
    cut_along,
)
from worker.places.alignment import Alignment, align
from worker.places.cells import cells_of
from worker.places.geometry import (
    area,
    is_level,
    round_box,
    round_corners,
    shared,
    union,
)
from worker.places.letters import Letters, letters_of
from worker.places.mapping import Mapping, map_letters
from worker.places.seen import SeenImage

#: Share of a word's or a cell's letters that must have been read alike for it to have a place.
_SURE = 0.5
#: Share of another line's piece that a box may cover.
_COVERED = 0.5
_WORD = re.compile(r"\S+")


def place_lines(
    text: str, images: Sequence[SeenImage], boxes: Boxes, digits: int = 0
) -> tuple[TextLine, ...]:
    """Return the lines of a text that have letters or digits, with their places.

    Places are in the unit of what was seen, with so many digits behind the point.
    """
    # the tags of a table have no letters of their own
    written = [(line, letters_of(line)) for line in text.split("\n")]
    written = [(line, own) for line, own in written if any(map(str.isalnum, own.text))]
    rows = [row for image in images for row in image.rows]
    seen = [_Seen(piece) for row in rows for piece in row.pieces]
    on_image = [one.image for one in images for row in one.rows for _ in row.pieces]
    page = _Page(seen, on_image, boxes, digits)
    pieces = iter(seen)
    lines, letters = [line for line, _ in written], [own for _, own in written]
    alignment = align(
        [one.text for one in letters], [[next(pieces).letters for _ in row.pieces] for row in rows]
    )
    return tuple(page.place(lines, letters, alignment))


@dataclass(slots=True)
class _Page:
    """What was seen, and what is wanted of it."""

    seen: Sequence[_Seen]
    #: The image of each.
    on_image: Sequence[int]
    boxes: Boxes
    digits: int

    def place(
        self, lines: Sequence[str], letters: Sequence[Letters], alignment: Alignment
    ) -> Iterator[TextLine]:
        """Yield each line with its place, or without one."""
        image = self.on_image[0] if self.on_image else 0
        for number, line in enumerate(lines):
            own = alignment.owned.get(number, [])
            likeness = round(alignment.likeness.get(number, 0.0), 4)
            image = self.on_image[own[0]] if own else image
            placed = TextLine(text=line, confidence=None, agreement=likeness, image=image)
            if own:
                run = _Run(letters[number], [self.seen[piece] for piece in own], self.digits)
                placed = placed.model_copy(update=self._place(line, run, own))
            yield placed

    def _place(self, text: str, run: _Run, own: Sequence[int]) -> dict[str, Any]:
        """Return what is known of a line that stands for some pieces."""
        corners = run.corners_of(range(len(run.letters.text)))
        known: dict[str, Any] = {"confidence": run.confidence}
        if run.is_misread:
            known["other"] = run.text
        if not is_level(corners[0], corners[-1]) and self._covers_others(union(corners), own):
            # a paragraph that goes on in another column has no box of its own
            return known
        known["box"] = round_box(union(corners), self.digits)
        known["polygon"] = round_corners(_around(corners), self.digits)
        if self.boxes == "word":
            known["words"] = _place_words(text, run)
        if cells := cells_of(text):
            known["cells"] = tuple(
                PlacedText(text=cell.text, box=run.box_of(run.letters.within(*cell.span)))
                for cell in cells
            )
        return known

    def _covers_others(self, box: Box, own: Sequence[int]) -> bool:
        """Tell whether a box lies on what was seen of other lines of the same image."""
        others = (
            box_around(one.piece.corners)
            for number, one in enumerate(self.seen)
            if number not in own and self.on_image[number] == self.on_image[own[0]]
        )
        return any(area(shared(box, other)) > _COVERED * area(other) for other in others)


def _around(parts: Sequence[Corners]) -> Corners:
    """Return the slanted box around parts of one row, or the upright one around several rows."""
    first, last = parts[0], parts[-1]
    if is_level(first, last):
        return first[0], last[1], last[2], first[3]
    left, top, right, bottom = union(parts)
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _place_words(text: str, run: _Run) -> tuple[PlacedText, ...]:
    placed = ((match[0], run.letters.within(*match.span())) for match in _WORD.finditer(text))
    return tuple(
        PlacedText(text=word, box=run.box_of(letters)) for word, letters in placed if letters
    )


class _Seen:
    """A piece that was seen, and the word that each of its letters is part of."""

    def __init__(self, piece: SeenPiece) -> None:
        self.piece = piece
        words = [letters_of(word.text).text for word in piece.words]
        self.letters = "".join(words)
        #: For each letter where it begins and ends along the piece, 0 to 1.
        self.spans: list[tuple[float, float]] = []
        for word, letters in zip(piece.words, words, strict=True):
            each = (word.stop - word.start) / max(1, len(letters))
            self.spans += [
                ((word.start + each * n) / ALONG, (word.start + each * (n + 1)) / ALONG)
                for n in range(len(letters))
            ]


class _Run:
    """A line's letters, and the pieces that it stands for."""

    def __init__(self, letters: Letters, seen: Sequence[_Seen], digits: int) -> None:
        self.digits = digits
        self.letters = letters
        self._seen = seen
        #: The piece of each letter that was seen, and its number there.
        self._places = [(one, n) for one in seen for n in range(len(one.letters))]
        self._mapping: Mapping
        self._mapping, self._alike = map_letters(letters.text, "".join(one.letters for one in seen))

    @property
    def is_misread(self) -> bool:
        """Tell whether anything was seen otherwise than it is written."""
        return self.letters.text != "".join(one.letters for one in self._seen)

    @property
    def text(self) -> str:
        """Return what was seen."""
        return " ".join(one.piece.text for one in self._seen)

    @property
    def confidence(self) -> float | None:
        """Return the mean probability of the words that were seen."""
        words = [word for one in self._seen for word in one.piece.words]
        letters = sum(len(word.text) for word in words)
        total = sum(word.confidence * len(word.text) for word in words)
        return round(total / letters, 4) if letters else None

    def box_of(self, letters: range) -> Box | None:
        """Return the box around some letters of the line; None where too few were seen alike."""
        alike = sum(letter in self._alike for letter in letters)
        if not letters or alike < _SURE * len(letters):
            return None
        return round_box(union(self.corners_of(letters)), self.digits)

    def corners_of(self, letters: range) -> list[Corners]:
        """Return what was seen for some letters of the line, piece by piece."""
        targets = [target for n in letters if (target := self._mapping[n]) is not None]
        first, last = targets[0], targets[-1]
        parts: list[Corners] = []
        start = first
        while start <= last:
            one, number = self._places[start]
            stop = min(last, start + len(one.letters) - 1 - number)
            end = self._places[stop][1]
            parts.append(cut_along(one.piece.corners, one.spans[number][0], one.spans[end][1]))
            start = stop + 1
        return parts

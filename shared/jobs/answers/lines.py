"""The lines of a text that was read, and where they stand; boxes end before right and bottom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from shared.jobs.parameters.generation import Frozen

#: Whether lines are told with their places, and words as well.
Boxes = Literal["none", "line", "word"]
#: Pages of one job whose lines, or words, are told with their places: all of them are one answer.
MOST_PAGES: dict[Boxes, int] = {"line": 300, "word": 60}
#: Places along a piece of text that was seen.
ALONG = 10_000
#: Whole pixels of a stored image, or points of a page with one decimal.
Length = int | float
#: Left, top, right, bottom.
Box = tuple[Length, Length, Length, Length]
#: Left and top.
Corner = tuple[Length, Length]
#: Top left, top right, bottom right and bottom left of a slanted box, as the text runs.
Corners = tuple[Corner, Corner, Corner, Corner]

#: Of a line that is given with its place.
_PLACE = ("box", "polygon", "image", "page", "words", "cells")


class PlacedText(Frozen):
    """A word of a line, or a cell of a table's row."""

    text: str
    #: None where it is not sure which of the letters that were seen are its own.
    box: Box | None = None
    #: Of a slanted box, for whoever cuts it within the worker; it is never stored.
    corners: Corners | None = Field(None, exclude=True)


class TextLine(Frozen):
    """A line of the original text; `confidence` is as in Output, None if unknown."""

    text: str
    confidence: float | None
    #: How much of it the second reader has read as well, 0 to 1; None where only one has read.
    agreement: float | None = None
    #: What the second reader has read instead; None where it agrees.
    other: str | None = None
    #: Where it stands; None where that is not sure.
    box: Box | None = None
    polygon: Corners | None = None
    #: Which of the job's images it stands on, from 0, or which page of the document, from 1. Of a
    #: line without a place both are None.
    image: int | None = None
    page: int | None = None
    #: None unless words are wanted.
    words: tuple[PlacedText, ...] | None = None
    #: Of a row of a Markdown or HTML table, or of a whole one in a line, in their order.
    cells: tuple[PlacedText, ...] | None = None

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        if self.agreement is None:
            del fields["agreement"], fields["other"]
        empty = {name for name in ("image", "page", "words", "cells") if fields[name] is None}
        if self.image is None and self.page is None:
            empty |= set(_PLACE)
        return {name: value for name, value in fields.items() if name not in empty}


class SeenWord(Frozen):
    """A word as the second reader has read it."""

    text: str
    #: Where it begins and ends along its piece, 0 to ALONG.
    start: int
    stop: int
    #: Mean probability of its letters.
    confidence: float


class SeenPiece(Frozen):
    """A stretch of text without a wide gap, as the second reader has seen it."""

    #: In pixels of the image or the tile that was read.
    corners: Corners
    words: tuple[SeenWord, ...]

    @property
    def text(self) -> str:
        """Return its words with a blank between them."""
        return " ".join(word.text for word in self.words)

    def moved(self, x: Length, y: Length) -> Self:
        """Return it so much further right and down."""
        first, second, third, fourth = ((left + x, top + y) for left, top in self.corners)
        return self.model_copy(update={"corners": (first, second, third, fourth)})


class SeenRow(Frozen):
    """Pieces at one height, from left to right."""

    pieces: tuple[SeenPiece, ...]

    def moved(self, x: Length, y: Length) -> Self:
        """Return it so much further right and down."""
        return self.model_copy(update={"pieces": tuple(p.moved(x, y) for p in self.pieces)})


def between(start: Corner, stop: Corner, share: float) -> Corner:
    """Return the place so far from one corner to another, 0 to 1."""
    return start[0] + (stop[0] - start[0]) * share, start[1] + (stop[1] - start[1]) * share


def cut_along(corners: Corners, start: float, stop: float) -> Corners:
    """Return the part of a slanted box between two places along its text, 0 to 1."""
    first, second, third, fourth = corners
    return (
        between(first, second, start),
        between(first, second, stop),
        between(fourth, third, stop),
        between(fourth, third, start),
    )


def cut_across(corners: Corners, start: float, stop: float) -> Corners:
    """Return the part of a slanted box between two places across its text, 0 to 1."""
    first, second, third, fourth = corners
    return (
        between(first, fourth, start),
        between(second, third, start),
        between(second, third, stop),
        between(first, fourth, stop),
    )


def corners_of(box: Box) -> Corners:
    """Return the corners of an upright box."""
    left, top, right, bottom = box
    return (left, top), (right, top), (right, bottom), (left, bottom)


def box_around(corners: Sequence[Corner]) -> Box:
    """Return the upright box around some corners."""
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)

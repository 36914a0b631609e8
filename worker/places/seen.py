"""What the second reader has seen in an image, as lines are placed by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.jobs.answers.lines import (
    ALONG,
    PlacedText,
    SeenPiece,
    SeenRow,
    SeenWord,
    TextLine,
    cut_along,
)
from worker.places.geometry import round_box, union


@dataclass(frozen=True, slots=True)
class SeenImage:
    """What was seen in one image, in reading order and in its pixels."""

    rows: tuple[SeenRow, ...]
    #: Which image it is, from 0.
    image: int = 0


def seen_lines(images: Sequence[SeenImage], digits: int = 0) -> tuple[TextLine, ...]:
    """Return what was seen as lines, each word with its box of so many digits behind the point."""
    return tuple(_line(row, one.image, digits) for one in images for row in one.rows)


def _line(row: SeenRow, image: int, digits: int) -> TextLine:
    words = [(piece, word) for piece in row.pieces for word in piece.words]
    letters = sum(len(word.text) for _, word in words)
    total = sum(word.confidence * len(word.text) for _, word in words)
    return TextLine(
        text=" ".join(word.text for _, word in words),
        confidence=round(total / letters, 4) if letters else None,
        image=image,
        words=tuple(_word(piece, word, digits) for piece, word in words),
    )


def _word(piece: SeenPiece, word: SeenWord, digits: int) -> PlacedText:
    part = cut_along(piece.corners, word.start / ALONG, word.stop / ALONG)
    return PlacedText(text=word.text, box=round_box(union([part]), digits), corners=part)

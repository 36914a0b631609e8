"""Puts characters together to words."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.documents.model import Box
from shared.documents.text.glyphs import Flags, Floats, Glyphs, character

#: Parts of a character's height.
_WORD_GAP = 0.35
_BASELINE_JUMP = 0.45
_RIGHT_TO_LEFT = frozenset(("R", "AL"))


@dataclass(slots=True, eq=False)
class Word:
    """Characters without a gap; its room is as high as its font, its ink is what is drawn."""

    text: str
    room: Box
    ink: Box
    #: A space stands before it in the file.
    spaced: bool

    @property
    def height(self) -> float:
        """Return the height of its font, about."""
        return self.room[3] - self.room[1]

    @property
    def middle(self) -> float:
        """Return the height at which it stands."""
        return (self.room[1] + self.room[3]) / 2

    @property
    def right_to_left(self) -> int:
        """Return its letters that are read from right to left, less those that are not."""
        kinds = [unicodedata.bidirectional(letter) for letter in self.text]
        return sum((kind in _RIGHT_TO_LEFT) - (kind == "L") for kind in kinds)


def join(boxes: list[Box]) -> Box:
    """Return the box around some boxes, at least one."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def find_words(glyphs: Glyphs) -> list[Word]:
    """Return the words of characters that stand upright, in the order of the file."""
    drawn = glyphs.select(glyphs.drawn)
    if not len(drawn):
        return []
    passed = np.cumsum(glyphs.spaces, dtype=np.intp)[glyphs.drawn]
    starts = np.flatnonzero(_word_starts(drawn.boxes, passed))
    letters = list(map(character, drawn.codes.tolist()))
    ends = [*starts[1:].tolist(), len(letters)]
    texts = ["".join(letters[a:b]) for a, b in zip(starts.tolist(), ends, strict=True)]
    spaced = np.diff(passed, prepend=0)[starts] > 0
    columns = (texts, _around(drawn.boxes, starts), _around(drawn.shapes, starts), spaced.tolist())
    return [
        Word(unicodedata.normalize("NFC", text), room, ink, bool(space))
        for text, room, ink, space in zip(*columns, strict=True)
        if text
    ]


def _word_starts(boxes: Floats, passed: NDArray[np.intp]) -> Flags:
    """Tell where words begin; `passed` counts the spaces up to each character, (n,)."""
    starts = np.ones(len(boxes), bool)
    before, after = boxes[:-1], boxes[1:]
    heights = np.minimum(_heights(before), _heights(after))
    # one of the two is negative, whichever way the text runs
    gaps = np.maximum(after[:, 0] - before[:, 2], before[:, 0] - after[:, 2])
    jumps = np.abs(_middles(after) - _middles(before))
    starts[1:] = (
        (passed[1:] != passed[:-1])
        | (gaps > _WORD_GAP * heights)
        | (jumps > _BASELINE_JUMP * heights)
    )
    return starts


def _heights(boxes: Floats) -> Floats:
    return np.maximum(boxes[:, 3] - boxes[:, 1], 0.1)


def _middles(boxes: Floats) -> Floats:
    middles: Floats = (boxes[:, 1] + boxes[:, 3]) / 2
    return middles


def _around(boxes: Floats, starts: NDArray[np.intp]) -> list[Box]:
    """Return the box around each run of boxes, (n, 4), that begins at one of `starts`."""
    low = np.minimum.reduceat(boxes[:, :2], starts).tolist()
    high = np.maximum.reduceat(boxes[:, 2:], starts).tolist()
    return [(x0, y0, x1, y1) for (x0, y0), (x1, y1) in zip(low, high, strict=True)]

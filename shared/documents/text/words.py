"""Puts characters together to words."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise

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
    drawn = glyphs.drawn
    starts = _word_starts(glyphs, drawn)
    indices = np.flatnonzero(drawn)
    if not len(indices):
        return []
    parts = np.split(indices, np.flatnonzero(starts)[1:])
    passed = np.cumsum(glyphs.spaces)
    words = [_make_word(glyphs, parts[0], spaced=True)]
    for before, part in pairwise(parts):
        spaced = bool(passed[part[0]] != passed[before[-1]])
        words.append(_make_word(glyphs, part, spaced=spaced))
    return [word for word in words if word.text]


def _word_starts(glyphs: Glyphs, drawn: Flags) -> Flags:
    """Tell for each drawn character whether a word begins there."""
    indices = np.flatnonzero(drawn)
    boxes = glyphs.boxes[indices]
    starts = np.ones(len(indices), bool)
    if len(indices) < 2:
        return starts
    passed = np.cumsum(glyphs.spaces)[indices]
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


def _make_word(glyphs: Glyphs, part: NDArray[np.intp], *, spaced: bool) -> Word:
    text = "".join(character(int(code)) for code in glyphs.codes[part])
    return Word(
        unicodedata.normalize("NFC", text),
        _around(glyphs.boxes[part]),
        _around(glyphs.shapes[part]),
        spaced,
    )


def _around(boxes: Floats) -> Box:
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    return float(left), float(top), float(right), float(bottom)

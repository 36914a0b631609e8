"""Finds text that is written downwards, in columns from right to left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shared.documents.ink.writing import find_runs
from shared.documents.text.glyphs import Flags, Floats, Glyphs

#: Letters of which scripts run downwards: those of China, Japan and Korea.
_FIRST, _LAST = 0x2E80, 0xFFEF
#: From one letter to the next below it, in heights of the letter, and how far it may step aside.
_LEAST_STEP, _MOST_STEP = 0.7, 1.45
_MOST_ASIDE = 0.3
#: Letters of a column, at least: two may stand below each other anywhere.
_LEAST_LETTERS = 4
#: Degrees clockwise that lead from rows to such columns.
_DOWNWARDS = 90


def turn_vertical(glyphs: Glyphs) -> Glyphs:
    """Return the characters with those that run downwards marked as if they lay on their side."""
    upright = glyphs.drawn & (glyphs.rotations == 0)
    if upright.sum() < _LEAST_LETTERS:
        return glyphs
    rotations = glyphs.rotations.copy()
    rotations[np.flatnonzero(upright)[_vertical(glyphs.select(upright))]] = _DOWNWARDS
    return replace(glyphs, rotations=rotations)


def _vertical(glyphs: Glyphs) -> Flags:
    """Tell which characters stand in a column that runs downwards, (n,)."""
    left, top, right, bottom = glyphs.boxes.T
    heights = np.maximum(np.minimum(*_pairs(bottom - top)), 0.1)
    # letters of half a width stand at one side of the column, or in its middle
    aside = np.min([np.abs(np.diff(x)) for x in (left, (left + right) / 2, right)], axis=0)
    down = np.diff((top + bottom) / 2) / heights
    steps = (aside < _MOST_ASIDE * heights) & (down > _LEAST_STEP) & (down < _MOST_STEP)
    own = (glyphs.codes >= _FIRST) & (glyphs.codes <= _LAST)
    vertical = np.zeros(len(glyphs), bool)
    for start, end in zip(*find_runs(steps), strict=True):
        letters = slice(start, end + 1)
        if end + 1 - start >= _LEAST_LETTERS and own[letters].mean() >= 0.5:
            vertical[letters] = True
    return vertical


def _pairs(values: Floats) -> tuple[Floats, Floats]:
    return values[:-1], values[1:]

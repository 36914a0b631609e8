"""Turns round what stands for one letter of a script that runs from right to left.

Where a font's table gives one glyph several letters, PDFium reverses them with the rest of the
line, but not those that it takes apart itself: Unicode knows these as one character.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import replace

import numpy as np

from shared.documents.ink.writing import find_runs
from shared.documents.text.glyphs import Flags, Glyphs

#: Hebrew, Arabic and their neighbours, and their letters of several.
_RANGES = ((0x0590, 0x08FF), (0xFB1D, 0xFDFF), (0xFE70, 0xFEFF))


def turn_ligatures(glyphs: Glyphs) -> Glyphs:
    """Return the characters with the letters of each ligature in the order in which it is read."""
    backwards = np.any([(glyphs.codes >= a) & (glyphs.codes <= b) for a, b in _RANGES], axis=0)
    if not backwards.any():
        return glyphs
    codes = glyphs.codes.copy()
    for start, end in zip(*find_runs(_shared(glyphs, backwards)), strict=True):
        letters = codes[start : end + 1]
        if "".join(map(chr, letters.tolist())) not in _known():
            codes[start : end + 1] = letters[::-1]
    return replace(glyphs, codes=codes)


def _shared(glyphs: Glyphs, backwards: Flags) -> Flags:
    """Tell which characters, (n - 1,), have the place of the next one, drawn by one glyph."""
    same = (glyphs.boxes[1:] == glyphs.boxes[:-1]).all(axis=1)
    together: Flags = same & (glyphs.owners[1:] == glyphs.owners[:-1])
    return together & backwards[1:] & backwards[:-1]


@functools.cache
def _known() -> frozenset[str]:
    """Return the letters of the characters that are taken apart by Unicode's own table."""
    texts = (
        unicodedata.normalize("NFKD", chr(code)) for a, b in _RANGES[1:] for code in range(a, b)
    )
    return frozenset(text for text in texts if len(text) > 1)

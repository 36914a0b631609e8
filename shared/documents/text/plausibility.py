"""What can be doubted about a text layer from its characters alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shared.documents.model import Box, TextDoubt, TextLine
from shared.documents.text.glyphs import Glyphs, is_unmapped
from shared.documents.text.letters import has_foreign_letters, makes_sense

#: Share of characters without a meaning; single ones are bullets of old symbol fonts.
_MOST_UNMAPPED = 0.02
_MOST_LONE_UNMAPPED = 0.1
#: Characters for each square inch of a page; a telephone book has 200.
_MOST_PER_SQUARE_INCH = 600
_POINTS_PER_SQUARE_INCH = 72.0**2
#: Words that are looked at for vowels, at least, and how many of them may have none.
_LEAST_WORDS = 12
_MOST_WITHOUT_VOWELS = 0.4
_LATIN_WORD = re.compile(r"[^\W\d_]{4,}")
_VOWELS = re.compile("[aeiouyäöüàáâãåæèéêëìíîïòóôõøœùúûýāēīōūąęőűı]", re.IGNORECASE)
_LAST_LATIN = "\u024f"
#: Share of words that stand on others.
_MOST_STACKED = 0.1


def doubt_codes(codes: NDArray[np.uint32]) -> TextDoubt | None:
    """Return what is wrong with code points, (n,), without spaces."""
    if not len(codes):
        return TextDoubt.NO_TEXT
    unmapped = is_unmapped(codes)
    runs = unmapped[1:] & unmapped[:-1]
    many = unmapped.mean() > (_MOST_UNMAPPED if runs.any() else _MOST_LONE_UNMAPPED)
    return TextDoubt.UNMAPPED if many else None


def doubt_fonts(glyphs: Glyphs) -> TextDoubt | None:
    """Return a doubt if a font of drawn characters says letters that it does not show."""
    fonts = {font: _text_in(glyphs, font) for font in set(glyphs.fonts[glyphs.drawn].tolist())}
    wrong = {font for font, text in fonts.items() if has_foreign_letters(text)}
    without_table = set(glyphs.fonts[glyphs.drawn & glyphs.unproven].tolist()) - wrong
    doubted = glyphs.drawn & np.isin(glyphs.fonts, [*wrong])
    if not makes_sense([fonts[font] for font in without_table]):
        doubted |= glyphs.drawn & glyphs.unproven
    many = doubted.sum() > _MOST_UNMAPPED * max(1, glyphs.drawn.sum())
    return TextDoubt.UNMAPPED if many else None


def _text_in(glyphs: Glyphs, font: int) -> str:
    own = glyphs.drawn & (glyphs.fonts == font)
    return glyphs.select(own | glyphs.spaces).as_filed()


def doubt_density(characters: int, width: float, height: float) -> TextDoubt | None:
    """Return a doubt if a page of this size in points has no room for so many characters."""
    square_inches = max(width * height / _POINTS_PER_SQUARE_INCH, 0.01)
    crowded = characters > 100 and characters / square_inches > _MOST_PER_SQUARE_INCH
    return TextDoubt.IMPLAUSIBLE if crowded else None


def doubt_stacks(lines: Sequence[TextLine]) -> TextDoubt | None:
    """Return a doubt if many words stand on their neighbours: two texts at one place."""
    overlaps = [
        _overlap(before.box, word.box, along=line.rotation // 90 % 2)
        for line in lines
        for before, word in pairwise(line.words)
    ]
    many = len(overlaps) >= _LEAST_WORDS and sum(overlaps) > _MOST_STACKED * len(overlaps)
    return TextDoubt.IMPLAUSIBLE if many else None


def _overlap(before: Box, box: Box, along: int) -> bool:
    """Tell whether words share a third of the shorter one, along x (0) or y (1)."""
    starts, ends = (before[along], box[along]), (before[along + 2], box[along + 2])
    shorter = min(end - start for start, end in zip(starts, ends, strict=True))
    return min(ends) - max(starts) > shorter / 3


def doubt_words(text: str) -> TextDoubt | None:
    """Return a doubt if most Latin words have no vowel: a font whose letters are mixed up."""
    words = list(_latin_words(text))
    if len(words) < _LEAST_WORDS:
        return None
    without = sum(not _VOWELS.search(word) for word in words)
    return TextDoubt.UNMAPPED if without > _MOST_WITHOUT_VOWELS * len(words) else None


def _latin_words(text: str) -> Iterator[str]:
    for match in _LATIN_WORD.finditer(text):
        if max(match.group()) <= _LAST_LATIN:
            yield match.group()

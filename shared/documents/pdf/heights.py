"""Gives the letters of fonts that do not say their height the one that their letters have together.

PDFium gives such a letter, as those that are drawings (Type 3), the room of its shape alone: the
letters of a row are of different heights then.
"""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray
from pypdfium2 import raw

from shared.documents.text.glyphs import Flags, Floats

#: Share of the letters of a font whose room is their shape, where it says no height.
_MOST_BARE = 0.8
#: The room that a font's letters have above the line at least, and below, in widths of a letter.
_LEAST_ABOVE, _LEAST_BELOW = 1.2, 0.3


def complete_heights(
    text: int, rooms: Floats, shapes: Floats, fonts: NDArray[np.int64], upright: Flags
) -> Floats:
    """Return the rooms of all characters, (n, 4), as left, bottom, right, top, like the others.

    `text` is the address of the page's text; only `upright` characters, (n,), are looked at.
    """
    drawn = upright & (shapes[:, 3] > shapes[:, 1]) & (fonts > 0)
    bare = drawn & np.isclose(rooms, shapes, atol=0.01).all(axis=1)
    for font in set(fonts[bare].tolist()):
        own = np.flatnonzero(drawn & (fonts == font))
        if bare[own].mean() >= _MOST_BARE:
            lines, sizes = _read_lines(text, own)
            rooms[own] = _heighten(rooms[own], lines, sizes)
    return rooms


def _heighten(rooms: Floats, lines: Floats, sizes: Floats) -> Floats:
    """Return rooms, (n, 4), that reach from the lowest to the highest letter of their size."""
    relative = (rooms[:, [1, 3]] - lines[:, None]) / sizes[:, None]
    width = float(np.median((rooms[:, 2] - rooms[:, 0]) / sizes))
    below = min(float(relative[:, 0].min()), -_LEAST_BELOW * width)
    above = max(float(relative[:, 1].max()), _LEAST_ABOVE * width)
    return np.stack(
        (rooms[:, 0], lines + below * sizes, rooms[:, 2], lines + above * sizes), axis=1
    )


def _read_lines(text: int, characters: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return the heights at which characters, (n,), stand, and their sizes in some unit."""
    page = ctypes.cast(text, raw.FPDF_TEXTPAGE)
    x, y, matrix = ctypes.c_double(), ctypes.c_double(), raw.FS_MATRIX()
    lines, sizes = np.zeros(len(characters)), np.ones(len(characters))
    for place, index in enumerate(characters.tolist()):
        raw.FPDFText_GetCharOrigin(page, index, x, y)
        raw.FPDFText_GetMatrix(page, index, matrix)
        lines[place] = y.value
        sizes[place] = abs(matrix.d * raw.FPDFText_GetFontSize(page, index)) or 1.0
    return lines, sizes

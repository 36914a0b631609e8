"""The characters of a page with their boxes, as arrays."""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: What PDFium puts where a hyphen ends a line.
_LINE_HYPHENS = (0x02, 0xFFFE)
_LAST_CODE_POINT = 0x10FFFF
#: The code of a letter whose meaning is unknown.
UNKNOWN = 0xFFFD


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters in the order of the file; boxes are x0, y0, x1, y1, in points, upright page."""

    #: Code points, (n,).
    codes: NDArray[np.uint32]
    #: The room of each character: as wide as its advance, as high as its font; (n, 4).
    boxes: Floats
    #: The drawn shape, (n, 4).
    shapes: Floats
    #: Degrees clockwise that each is turned on the upright page, (n,): 0, 90, 180, 270 or -1.
    rotations: NDArray[np.int16]
    #: Which have a code only because the file does not say what they mean, (n,).
    unproven: Flags
    #: Numbers for the font and for the object that draws each, (n,); 0: none.
    fonts: NDArray[np.int64]
    owners: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.codes)

    def select(self, chosen: Flags) -> Glyphs:
        """Return some of them, in the same order."""
        return Glyphs(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def as_filed(self) -> str:
        """Return them as a text in the order of the file."""
        return "".join(map(character, np.where(self.spaces, ord(" "), self.codes).tolist()))

    @property
    def spaces(self) -> Flags:
        """Tell which are spaces or line ends, (n,)."""
        return np.isin(self.codes, SPACES)

    @property
    def drawn(self) -> Flags:
        """Tell which have a shape, (n,)."""
        shapes = self.shapes
        return ~self.spaces & (shapes[:, 2] > shapes[:, 0]) & (shapes[:, 3] > shapes[:, 1])


#: Code points of spaces and line ends.
SPACES = np.array(
    [ord(c) for c in " \t\r\n\f\v\u00a0\u1680\u2028\u2029\u202f\u205f\u3000"]
    + list(range(0x2000, 0x200C)),
    np.uint32,
)


@functools.cache
def character(code: int) -> str:
    """Return the text of a code point: ligatures as their letters, no control characters."""
    if code in _LINE_HYPHENS:
        return "-"
    if code > _LAST_CODE_POINT or 0xD800 <= code < 0xE000:
        return chr(UNKNOWN)
    letter = chr(code)
    if 0xFB00 <= code <= 0xFB06:
        return unicodedata.normalize("NFKC", letter)
    # a soft hyphen is drawn where it ends a line
    if code == 0xAD:
        return "-"
    return "" if unicodedata.category(letter) == "Cc" else letter


def is_unmapped(codes: NDArray[np.uint32]) -> Flags:
    """Tell which code points have no meaning: U+FFFD, private use, control characters; (n,)."""
    control = (codes < 0x20) & ~np.isin(codes, (0x02, 0x09, 0x0A, 0x0C, 0x0D))
    private = ((codes >= 0xD800) & (codes < 0xF900)) | (codes >= 0xF0000)
    unmapped: Flags = control | private | (codes == UNKNOWN) | ((codes > 0x7E) & (codes < 0xA0))
    return unmapped

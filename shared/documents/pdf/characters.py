"""Reads the characters of a PDF's page: a few calls of PDFium for each, so they are kept cheap."""

from __future__ import annotations

import contextlib
import ctypes
from collections import deque
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pypdfium2 import raw

from shared.documents.pdf.file import PdfPage
from shared.documents.pdf.heights import complete_heights
from shared.documents.text.glyphs import UNKNOWN, Flags, Floats, Glyphs
from shared.errors import DocumentDamaged

#: A page of a book has 3,000; what has more than this is an attack.
MAX_CHARACTERS = 200_000
_QUARTER = 90
#: Radians from which letters are askew.
_LEVEL = 0.1
_FIRST_PRINTED = 0x20
_LINE_ENDS = (0x09, 0x0A, 0x0B, 0x0C, 0x0D)


def _cheap(function: Any, result: Any, *arguments: Any) -> Callable[..., Any]:
    """Return a function of PDFium that converts no arguments, which takes most of a call."""
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    return ctypes.CFUNCTYPE(result, *arguments)(address)


_POINTER, _INT = ctypes.c_void_p, ctypes.c_int
_unicode = _cheap(raw.FPDFText_GetUnicode, ctypes.c_uint, _POINTER, _INT)
_loose_box = _cheap(raw.FPDFText_GetLooseCharBox, _INT, _POINTER, _INT, _POINTER)
_char_box = _cheap(
    raw.FPDFText_GetCharBox, _INT, _POINTER, _INT, _POINTER, _POINTER, _POINTER, _POINTER
)
_text_object = _cheap(raw.FPDFText_GetTextObject, ctypes.c_void_p, _POINTER, _INT)
_angle = _cheap(raw.FPDFText_GetCharAngle, ctypes.c_float, _POINTER, _INT)
_has_no_meaning = _cheap(raw.FPDFText_HasUnicodeMapError, _INT, _POINTER, _INT)
_font = _cheap(raw.FPDFTextObj_GetFont, ctypes.c_void_p, _POINTER)


@contextlib.contextmanager
def text_page(page: PdfPage) -> Iterator[tuple[int, int]]:
    """Yield the address of the page's text and the number of its characters.

    Raises DocumentDamaged.
    """
    handle = raw.FPDFText_LoadPage(page.handle)
    if not handle:
        raise DocumentDamaged(f"The document is damaged: page {page.number} has unreadable text.")
    try:
        address = ctypes.cast(handle, ctypes.c_void_p).value or 0
        yield address, max(0, min(raw.FPDFText_CountChars(handle), MAX_CHARACTERS))
    finally:
        raw.FPDFText_ClosePage(handle)


def read_codes(page: PdfPage) -> NDArray[np.uint32]:
    """Return the code points of the page's text alone, (n,)."""
    with text_page(page) as (text, count):
        codes, _, kept = _read_meanings(text, count)
    return codes[kept]


def read_glyphs(page: PdfPage) -> Glyphs:
    """Return the page's characters with their boxes on the upright page, in points.

    Raises DocumentDamaged.
    """
    with text_page(page) as (text, count):
        codes, unproven, kept = _read_meanings(text, count)
        loose = _read_loose_boxes(text, count)
        shapes = _read_shapes(text, count)
        angles = _each(_angle, text, count, np.float32)
        owners = _read_owners(text, count)
        fonts = _find_fonts(owners)
        codes[_are_numbers(codes, shapes, fonts, unproven)] = UNKNOWN
        loose = complete_heights(text, loose, shapes, fonts, np.abs(angles) < _LEVEL)
    glyphs = Glyphs(
        codes,
        to_upright(loose, page),
        to_upright(shapes, page),
        _round_angles(angles, page.rotation),
        unproven,
        fonts,
        owners,
    )
    return glyphs.select(kept)


def _read_meanings(text: int, count: int) -> tuple[NDArray[np.uint32], Flags, Flags]:
    """Return the code points of characters, which are unproven, and which to keep, all (count,).

    For want of a table in the file PDFium takes the number of a letter in its font.
    """
    codes: NDArray[np.uint32] = _each(_unicode, text, count, np.uint32)
    unproven: Flags = _each(_has_no_meaning, text, count, np.int8) > 0
    # such a number is no line end and no hyphen, whatever control character it looks like
    codes[unproven & (codes < _FIRST_PRINTED)] = UNKNOWN
    return codes, unproven, ~_join_halves(codes)


def _are_numbers(
    codes: NDArray[np.uint32], shapes: Floats, fonts: NDArray[np.int64], unproven: Flags
) -> Flags:
    """Tell which line ends are letters, (n,): they have a shape, and their font has no table."""
    shaped = (shapes[:, 2] > shapes[:, 0]) & (shapes[:, 3] > shapes[:, 1])
    numbered = np.isin(fonts, fonts[unproven])
    return shaped & numbered & np.isin(codes, _LINE_ENDS)


def _join_halves(codes: NDArray[np.uint32]) -> Flags:
    """Make one code of two that UTF-16 has for it, in place; return which are left over, (n,)."""
    first, second = (codes >> 10 == half for half in (0xD800 >> 10, 0xDC00 >> 10))
    pairs = np.zeros(len(codes), bool)
    pairs[1:] = first[:-1] & second[1:]
    at = np.flatnonzero(pairs)
    codes[at - 1] = 0x10000 + ((codes[at - 1] & 0x3FF) << 10) + (codes[at] & 0x3FF)
    return pairs


def _read_owners(text: int, count: int) -> NDArray[np.uint64]:
    """Return the address of each character's text object, 0 for what PDFium has added, (count,)."""
    owners = map(_text_object, repeat(text), range(count))
    return np.fromiter((owner or 0 for owner in owners), np.uint64, count)


def _find_fonts(owners: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return a number for the font of each text object, (n,)."""
    unique, places = np.unique(owners, return_inverse=True)
    addresses = [(_font(owner) or 0) if owner else 0 for owner in unique.tolist()]
    # an empty page has no object, and nothing is 0
    numbers: NDArray[np.int64] = np.unique(np.array([0, *addresses]), return_inverse=True)[1]
    return numbers[1:][places]


def _each(function: Callable[..., Any], text: int, count: int, form: Any) -> Any:
    """Return a function's value of each character, (count,)."""
    return np.fromiter(map(function, repeat(text), range(count)), form, count)


def _read_loose_boxes(text: int, count: int) -> Floats:
    """Return left, bottom, right, top in the page's own coordinates, (count, 4)."""
    rects = np.zeros((max(count, 1), 4), np.float32)
    start, step = rects.ctypes.data, rects.strides[0]
    places = range(start, start + count * step, step)
    deque(map(_loose_box, repeat(text), range(count), places), maxlen=0)
    # FS_RECTF is left, top, right, bottom
    return _sorted_sides(rects[:count][:, [0, 3, 2, 1]].astype(np.float64))


def _read_shapes(text: int, count: int) -> Floats:
    """Return left, bottom, right, top in the page's own coordinates, (count, 4)."""
    sides = np.zeros((max(count, 1), 4), np.float64)
    start, step = sides.ctypes.data, sides.strides[0]
    # its order is left, right, bottom, top
    places = [
        range(at, at + count * step, step) for at in (start, start + 16, start + 8, start + 24)
    ]
    deque(map(_char_box, repeat(text), range(count), *places), maxlen=0)
    return _sorted_sides(sides[:count])


def _sorted_sides(sides: Floats) -> Floats:
    sides[~np.isfinite(sides)] = 0
    low, high = np.minimum(sides[:, :2], sides[:, 2:]), np.maximum(sides[:, :2], sides[:, 2:])
    return np.concatenate((low, high), axis=1)


def to_upright(sides: Floats, page: PdfPage) -> Floats:
    """Turn left, bottom, right, top of the page's coordinates into boxes of the upright page."""
    left, bottom, right, top = page.frame()
    x0, y0, x1, y1 = sides.T
    turned = {
        0: (x0 - left, top - y1, x1 - left, top - y0),
        90: (y0 - bottom, x0 - left, y1 - bottom, x1 - left),
        180: (right - x1, y0 - bottom, right - x0, y1 - bottom),
        270: (top - y1, right - x1, top - y0, right - x0),
    }
    return np.stack(turned[page.rotation], axis=1)


def _round_angles(angles: NDArray[np.float32], rotation: int) -> Any:
    """Return clockwise degrees on the upright page: a quarter turn, or -1 for what is askew."""
    # PDFium's are radians; what is unknown is negative
    degrees = np.where(angles < 0, 0, np.rad2deg(angles))
    clockwise = (rotation + degrees) % 360
    quarters = np.rint(clockwise / _QUARTER)
    askew = np.abs(clockwise - quarters * _QUARTER) > 10
    return np.where(askew, -1, quarters % 4 * _QUARTER).astype(np.int16)

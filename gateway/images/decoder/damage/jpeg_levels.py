"""Makes visible that blocks of a JPEG are brighter than white or darker than black.

A block's brightness is stored as its difference from the last one, so that one wrong difference
shifts all that follow, beyond what exists sooner or later; the decoder cuts it off there. With
the least step it cuts off nothing: a pixel of the picture at an eighth of its size is then 128 and
an eighth of the steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_TABLES, _SCAN = 0xDB, 0xDA
#: Baseline and extended frames of Huffman's codes.
_FRAMES = (0xC0, 0xC1)
#: Eight times the brightest sample, which a whole block may have.
_BRIGHTEST = 1024
#: From here on the decoder cuts off.
_MOST = 127


@dataclass(frozen=True, slots=True)
class LoweredJpeg:
    """A JPEG whose blocks have the least steps of brightness."""

    data: bytes
    #: How far a pixel of the first component may be from 128 at an eighth of the size.
    most: int


def lower_levels(data: bytes) -> LoweredJpeg | None:
    """Return a JPEG of one scan with the least steps; None where they are the least already."""
    lowered = bytearray(data)
    steps: dict[int, int] = {}
    table: int | None = None
    for marker, start, end in _segments(data):
        if marker == _TABLES:
            for number, at, wide in _tables(data, start, end):
                size = 2 if wide else 1
                steps[number] = int.from_bytes(data[at : at + size], "big")
                lowered[at : at + size] = (1).to_bytes(size, "big")
        elif marker in _FRAMES and start + 9 <= end:
            table = data[start + 8]
    step = steps.get(table) if table is not None else None
    if not step:
        return None
    # rounding by the encoder, and to a whole pixel
    most = (_BRIGHTEST // step + 1 + 4) // 8 + 1
    return LoweredJpeg(bytes(lowered), most) if most < _MOST else None


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, begin and end of the contents of each segment before the scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        if data[at + 1] == 0xFF:
            at += 1
            continue
        end = at + 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        yield data[at + 1], at + 4, min(end, len(data))
        at = end


def _tables(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Yield the number of each table, where its first step stands, and whether that has 16 bits."""
    while at < end:
        wide = data[at] >> 4 > 0
        size = 128 if wide else 64
        if at + 1 + size > end:
            return
        yield data[at] & 15, at + 1, wide
        at += 1 + size

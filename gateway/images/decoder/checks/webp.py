"""The checks of a WebP: the sizes in container and bitstream."""

from __future__ import annotations

import struct

from gateway.images.decoder.checks.checked_file import CheckedFile, damage_error
from gateway.images.formats import DecodeLimits
from shared.errors import ImageTruncated

#: Bytes up to the end of the size, by the kind of the first chunk.
_HEAD_BYTES = {b"VP8X": 30, b"VP8 ": 30, b"VP8L": 25}


def check_webp(data: bytes, limits: DecodeLimits) -> CheckedFile:
    """Check the sizes in container and bitstream: the decoder allocates them when it opens.

    Raises ImageTruncated and ImageDecodeFailed.
    """
    kind = data[12:16]
    if len(data) < 8 + int.from_bytes(data[4:8], "little") or len(data) < 16:
        raise ImageTruncated("The WebP file is shorter than its header says.")
    if kind not in _HEAD_BYTES:
        raise damage_error("the WebP file does not start with an image")
    if len(data) < _HEAD_BYTES[kind]:
        raise ImageTruncated("The WebP file is truncated in its header.")
    if kind == b"VP8X":
        limits.check(1 + _read_u24(data, 24), 1 + _read_u24(data, 27))
        return CheckedFile(data, animated=bool(data[20] & 2))
    if kind == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        limits.check(1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF))
    else:
        width, height = struct.unpack_from("<HH", data, 26)
        limits.check(width & 0x3FFF, height & 0x3FFF)
    return CheckedFile(data)


def _read_u24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")

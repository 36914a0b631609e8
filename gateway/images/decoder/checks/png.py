"""The checks of a PNG: chunks, checksums, sizes, and whether all pixel data are there."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.images.decoder.checks.checked_file import (
    MAX_METADATA_BYTES,
    CheckedFile,
    damage_error,
)
from gateway.images.formats import DecodeLimits
from shared.errors import ImageTruncated

MAX_CHUNKS = 50_000
#: Of pixel data that are inflated at once; what is left over is copied each time.
_PIECE_BYTES = 64 << 10

_PNG_CRITICAL = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND"))
_PNG_USEFUL = frozenset((b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"eXIf", b"sBIT"))
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: Start x, start y, step x, step y of Adam7's passes.
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int
    end: int
    sound: bool


def check_png(data: bytes, limits: DecodeLimits) -> CheckedFile:
    """Keep the chunks that change how the image looks; text, bombs and private chunks go."""
    kept = [data[:8]]
    kinds, dropped = set(), dict[bytes, None]()
    colour_code: tuple[int, int] | None = None
    for chunk in _read_png_chunks(data):
        kinds.add(chunk.kind)
        if chunk.kind == b"cICP" and chunk.sound and chunk.end - chunk.start == 16:
            colour_code = data[chunk.start + 8], data[chunk.start + 9]
        if chunk.kind == b"IHDR":
            limits.check(*_png_size(data, chunk))
        elif b"IHDR" not in kinds:
            raise damage_error("the PNG does not start with its header")
        if _keeps_chunk(data, chunk):
            kept.append(data[chunk.start : chunk.end])
        elif chunk.kind in _PNG_USEFUL:
            dropped[chunk.kind] = None
    if b"IDAT" not in kinds:
        raise damage_error("the PNG has no image data")
    return CheckedFile(
        b"".join(kept),
        animated=b"acTL" in kinds,
        colour_code=colour_code,
        notices=_dropped_notices(dropped),
    )


def _dropped_notices(kinds: Iterable[bytes]) -> tuple[tuple[str, str], ...]:
    names = ", ".join(kind.decode("ascii") for kind in kinds)
    if not names:
        return ()
    return (("image_metadata_dropped", f"Dropped damaged or oversized parts of the PNG: {names}."),)


def _read_png_chunks(data: bytes) -> Iterator[_Chunk]:
    at = 8
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            raise ImageTruncated("The PNG file is truncated: its end is missing.")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ImageTruncated(f"The PNG file is truncated at byte {len(data)} of {end}.")
        crc = int.from_bytes(data[end - 4 : end], "big")
        yield _Chunk(kind, at, end, zlib.crc32(memoryview(data)[at + 4 : end - 4]) == crc)
        if kind == b"IEND":
            return
        at = end
    raise damage_error(f"the PNG has more than {MAX_CHUNKS} chunks")


def _png_size(data: bytes, header: _Chunk) -> tuple[int, int]:
    if header.end - header.start != 25:
        raise damage_error("the PNG header has an invalid length")
    width, height = struct.unpack_from(">II", data, header.start + 8)
    return width, height


def _keeps_chunk(data: bytes, chunk: _Chunk) -> bool:
    if chunk.kind in _PNG_CRITICAL:
        if not chunk.sound:
            raise damage_error(f"the checksum of a PNG {chunk.kind.decode()} chunk is wrong")
        return True
    if not chunk.kind[0] & 0x20:
        raise damage_error("the PNG has an unknown critical chunk")
    if chunk.kind not in _PNG_USEFUL or chunk.end - chunk.start > MAX_METADATA_BYTES:
        return False
    return chunk.sound and (chunk.kind != b"iCCP" or _inflates_small(data, chunk))


def _inflates_small(data: bytes, chunk: _Chunk) -> bool:
    _, _, packed = data[chunk.start + 8 : chunk.end - 4].partition(b"\0")
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(packed[1:], MAX_METADATA_BYTES)
    except zlib.error:
        return False
    return inflater.eof


def png_pixels_missing(data: bytes) -> bool:
    """Tell whether a checked PNG lacks pixel data; Pillow would leave the rest black."""
    inflater = zlib.decompressobj()
    missing = _png_raw_bytes(data)
    for piece in _packed_pieces(data):
        packed = piece
        while packed and missing > 0 and not inflater.eof:
            missing -= len(inflater.decompress(packed, 1 << 20))
            packed = inflater.unconsumed_tail
    # only while bytes are missing, or flush() would inflate a whole bomb
    return missing > 0 and missing > len(inflater.flush())


def _packed_pieces(data: bytes) -> Iterator[bytes]:
    """Yield the packed pixel data in small pieces."""
    for chunk in _read_png_chunks(data):
        if chunk.kind != b"IDAT":
            continue
        for at in range(chunk.start + 8, chunk.end - 4, _PIECE_BYTES):
            yield data[at : min(at + _PIECE_BYTES, chunk.end - 4)]


def _png_raw_bytes(data: bytes) -> int:
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * _PNG_CHANNELS[colour]
    total = 0
    for x, y, step_x, step_y in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total

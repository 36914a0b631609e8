"""Checks, before a decoder sees a file, that it is whole, sane and small enough.

Nothing is decoded here; only headers, lengths and checksums are read. Runs in the decoder child.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gateway.images.formats import DecodeLimits, ImageFormat
from shared.errors import ImageDecodeFailed, ImageTruncated

#: More than any encoder writes; each scan costs a pass over the whole image.
MAX_SCANS = 100
MAX_CHUNKS = 50_000
#: No valid colour profile or EXIF block is larger.
MAX_METADATA_BYTES = 1 << 20

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
#: Ends entropy-coded data: FF, but neither a stuffed FF 00 nor a restart marker.
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
#: Frame types that libjpeg decodes reduced without keeping the whole image: baseline, extended.
_JPEG_SEQUENTIAL = frozenset((0xC0, 0xC1, 0xC9))


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file that may be handed to its decoder."""

    data: bytes
    #: Can be decoded at a fraction of its size.
    reducible: bool = False
    animated: bool = False
    #: (code, detail) of what was dropped, though it changes how the image looks.
    notices: tuple[tuple[str, str], ...] = ()


def check_file(fmt: ImageFormat, data: bytes, limits: DecodeLimits) -> CheckedFile:
    """Return the file to decode; raise ImageTruncated, ImageDecodeFailed or a limit's error."""
    return _CHECKS[fmt](data, limits)


def _damage_error(why: str) -> ImageDecodeFailed:
    return ImageDecodeFailed(f"Image decode failed: {why}.")


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int
    end: int
    sound: bool


def _check_png(data: bytes, limits: DecodeLimits) -> CheckedFile:
    """Keep the chunks that change how the image looks; text, bombs and private chunks go."""
    kept = [data[:8]]
    kinds, dropped = set(), dict[bytes, None]()
    for chunk in _read_png_chunks(data):
        kinds.add(chunk.kind)
        if chunk.kind == b"IHDR":
            limits.check(*_png_size(data, chunk))
        elif b"IHDR" not in kinds:
            raise _damage_error("the PNG does not start with its header")
        if _keeps_chunk(data, chunk):
            kept.append(data[chunk.start : chunk.end])
        elif chunk.kind in _PNG_USEFUL:
            dropped[chunk.kind] = None
    if b"IDAT" not in kinds:
        raise _damage_error("the PNG has no image data")
    return CheckedFile(b"".join(kept), animated=b"acTL" in kinds, notices=_dropped_notices(dropped))


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
    raise _damage_error(f"the PNG has more than {MAX_CHUNKS} chunks")


def _png_size(data: bytes, header: _Chunk) -> tuple[int, int]:
    if header.end - header.start != 25:
        raise _damage_error("the PNG header has an invalid length")
    width, height = struct.unpack_from(">II", data, header.start + 8)
    return width, height


def _keeps_chunk(data: bytes, chunk: _Chunk) -> bool:
    if chunk.kind in _PNG_CRITICAL:
        if not chunk.sound:
            raise _damage_error(f"the checksum of a PNG {chunk.kind.decode()} chunk is wrong")
        return True
    if not chunk.kind[0] & 0x20:
        raise _damage_error("the PNG has an unknown critical chunk")
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
    for chunk in _read_png_chunks(data):
        packed = data[chunk.start + 8 : chunk.end - 4] if chunk.kind == b"IDAT" else b""
        while packed and missing > 0 and not inflater.eof:
            missing -= len(inflater.decompress(packed, 1 << 20))
            packed = inflater.unconsumed_tail
    # only while bytes are missing, or flush() would inflate a whole bomb
    return missing > 0 and missing > len(inflater.flush())


def _png_raw_bytes(data: bytes) -> int:
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * _PNG_CHANNELS[colour]
    total = 0
    for x, y, step_x, step_y in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _check_jpeg(data: bytes, limits: DecodeLimits) -> CheckedFile:
    frames, scans = [], 0
    for marker, at in _read_jpeg_segments(data):
        if marker in _JPEG_FRAMES:
            frames.append((marker, *struct.unpack_from(">HH", data, at + 3)))
        elif marker == _JPEG_SCAN:
            scans += 1
        if scans > MAX_SCANS:
            raise _damage_error(f"the JPEG has more than {MAX_SCANS} scans")
    if len(frames) != 1 or not scans:
        raise _damage_error(f"the JPEG has {len(frames)} frames and {scans} scans")
    kind, height, width = frames[0]
    # with several scans libjpeg keeps every coefficient, however small the result
    reducible = kind in _JPEG_SEQUENTIAL and scans == 1
    limits.check(width, height, reducible=reducible)
    return CheckedFile(data, reducible=reducible)


def _read_jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (marker, offset of its length field) up to the end marker of the main image."""
    at = 2
    while True:
        match = _JPEG_MARKER.search(data, at)
        if match is None:
            raise _jpeg_truncated()
        marker, at = match[1][0], match.end()
        if marker == _JPEG_END:
            return
        if marker in (0x01, 0xD8):
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if at + length > len(data):
            raise _jpeg_truncated()
        if length < (8 if marker in _JPEG_FRAMES else 2):
            raise _damage_error("a JPEG segment has an invalid length")
        yield marker, at
        at += length


def _jpeg_truncated() -> ImageTruncated:
    return ImageTruncated("The JPEG file is truncated: its end marker is missing.")


def _check_webp(data: bytes, limits: DecodeLimits) -> CheckedFile:
    """Check the sizes in container and bitstream: the decoder allocates them when it opens."""
    if len(data) < 8 + int.from_bytes(data[4:8], "little") or len(data) < 30:
        raise ImageTruncated("The WebP file is shorter than its header says.")
    kind = data[12:16]
    if kind == b"VP8X":
        limits.check(1 + _read_u24(data, 24), 1 + _read_u24(data, 27))
        return CheckedFile(data, animated=bool(data[20] & 2))
    if kind == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        limits.check(1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF))
    elif kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        limits.check(width & 0x3FFF, height & 0x3FFF)
    else:
        raise _damage_error("the WebP file does not start with an image")
    return CheckedFile(data)


def _read_u24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


def _check_avif(data: bytes, _limits: DecodeLimits) -> CheckedFile:
    _check_boxes(data, "AVIF")
    return CheckedFile(data)


def _check_heic(data: bytes, _limits: DecodeLimits) -> CheckedFile:
    _check_boxes(data, "HEIC")
    return CheckedFile(data)


def _check_boxes(data: bytes, name: str) -> None:
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length == 0:
            break
        if length < 8:
            raise _damage_error(f"a box of the {name} file has an invalid length")
        at += length
    if at > len(data):
        raise ImageTruncated(f"The {name} file is truncated at byte {len(data)} of {at}.")


def _check_tiff(data: bytes, _limits: DecodeLimits) -> CheckedFile:
    order = "<" if data.startswith(b"II") else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    if len(data) < 16:
        raise ImageTruncated
    (directory,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    if directory + 2 > len(data):
        raise ImageTruncated("The TIFF file is truncated: its directory is missing.")
    return CheckedFile(data)


def _check_bmp(data: bytes, _limits: DecodeLimits) -> CheckedFile:
    offset = int.from_bytes(data[10:14], "little")
    if offset >= len(data):
        raise ImageTruncated("The BMP file is truncated before its pixels.")
    return CheckedFile(data)


def _check_gif(data: bytes, _limits: DecodeLimits) -> CheckedFile:
    if len(data) < 13:
        raise ImageTruncated
    return CheckedFile(data)


_CHECKS: dict[ImageFormat, Callable[[bytes, DecodeLimits], CheckedFile]] = {
    "JPEG": _check_jpeg,
    "PNG": _check_png,
    "WebP": _check_webp,
    "BMP": _check_bmp,
    "TIFF": _check_tiff,
    "GIF": _check_gif,
    "AVIF": _check_avif,
    "HEIC": _check_heic,
}

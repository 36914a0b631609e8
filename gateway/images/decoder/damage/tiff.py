"""The damage of a TIFF, by checksums, the messages of libtiff, and the warnings of libjpeg."""

from __future__ import annotations

import ctypes
import functools
import os
import re
import tempfile
import zlib
from collections.abc import Iterator

from PIL import TiffImagePlugin, _imaging

from gateway.images.decoder.damage import jpeg, zeros
from gateway.images.decoder.damage.report import Damage, captured_errors

_FAX = frozenset((2, 3, 4))
_DEFLATE = frozenset((8, 32946))
_JPEG, _GROUP_4 = 7, 4
_COMPRESSION, _ROWS_PER_STRIP, _JPEG_TABLES = 259, 278, 347
_OFFSETS, _LENGTHS, _TILE_OFFSETS, _TILE_LENGTHS = 273, 279, 324, 325
_PIECE_BYTES = 1 << 20
_LINE = re.compile(r"at (?:line|scanline) (\d+)(?: of strip (\d+))?")


def read_damage(
    data: bytes, file: TiffImagePlugin.TiffImageFile, messages: list[str]
) -> Damage | None:
    """Return what is broken in a TIFF that Pillow has drawn, or None.

    `messages` is what libtiff wrote meanwhile.
    """
    compression = file.tag_v2.get(_COMPRESSION, 1)
    if compression in _FAX:
        messages = [*messages, *_fax_warnings(data)]
    if messages:
        return Damage(_library_text(messages[0]), _damaged_part(messages, file))
    if compression == _GROUP_4:
        return next(filter(None, map(zeros.find_in_fax, _packed_parts(data, file))), None)
    if compression in _DEFLATE and not all(map(_inflates, _packed_parts(data, file))):
        return Damage("a checksum of its packed pixels is wrong")
    if compression == _JPEG:
        tables = file.tag_v2.get(_JPEG_TABLES, b"")
        return _jpeg_damage(tables if isinstance(tables, bytes) else b"", data, file)
    return None


def _library_text(message: str) -> str:
    """Return a message without the name of the file, which is ours, and without its stop."""
    return message.rpartition(": ")[2].rstrip(". ")[:120] or "libtiff could not read all of it"


def _damaged_part(messages: list[str], file: TiffImagePlugin.TiffImageFile) -> float | None:
    rows_per_strip = min(int(file.tag_v2.get(_ROWS_PER_STRIP, file.height)), file.height)
    rows = set()
    for message in messages:
        if match := _LINE.search(message):
            rows.add(int(match[2] or 0) * rows_per_strip + int(match[1]))
    return min(1.0, len(rows) / file.height) if rows else None


def _packed_parts(data: bytes, file: TiffImagePlugin.TiffImageFile) -> Iterator[bytes]:
    tags = file.tag_v2
    tiled = _TILE_OFFSETS in tags
    offsets = tags.get(_TILE_OFFSETS if tiled else _OFFSETS, ())
    lengths = tags.get(_TILE_LENGTHS if tiled else _LENGTHS, ())
    for offset, length in zip(offsets, lengths, strict=False):
        yield data[offset : offset + length]


def _inflates(packed: bytes) -> bool:
    """Tell whether packed pixels end with the right checksum."""
    inflater = zlib.decompressobj()
    try:
        for at in range(0, len(packed), _PIECE_BYTES):
            piece = packed[at : at + _PIECE_BYTES]
            while piece and not inflater.eof:
                inflater.decompress(piece, _PIECE_BYTES)
                piece = inflater.unconsumed_tail
    except zlib.error:
        return False
    return inflater.eof


def _jpeg_damage(tables: bytes, data: bytes, file: TiffImagePlugin.TiffImageFile) -> Damage | None:
    """Return the damage of the first broken JPEG among strips and tiles, behind their tables."""
    parts = list(_packed_parts(data, file))
    damages = []
    for part in parts:
        whole = tables[:-2] + part[2:] if tables.startswith(b"\xff\xd8") else part
        if whole.startswith(b"\xff\xd8") and (damage := jpeg.read_damage(whole)):
            damages.append(damage)
    if not damages:
        return None
    lost = sum(1.0 if damage.part is None else damage.part for damage in damages)
    return Damage(damages[0].text, lost / len(parts), is_cut=damages[0].is_cut)


@functools.cache
def _library() -> ctypes.CDLL | None:
    library = ctypes.CDLL(_imaging.__file__)
    if not hasattr(library, "TIFFFdOpen"):
        return None
    library.TIFFFdOpen.restype = ctypes.c_void_p
    library.TIFFStripSize.restype = ctypes.c_ssize_t
    library.TIFFSetWarningHandler.restype = ctypes.c_void_p
    return library


@functools.cache
def keep_warnings() -> int | None:
    """Return the address of libtiff's own handler of warnings, which Pillow switches off.

    Must be called before the first TIFF is read.
    """
    library = _library()
    return library.TIFFSetWarningHandler(None) if library else None


def _fax_warnings(data: bytes) -> list[str]:
    """Return what libtiff says of a fax when it may also warn."""
    library, handler = _library(), keep_warnings()
    if library is None or handler is None:
        return []
    with tempfile.TemporaryFile() as copy, captured_errors() as lines:
        copy.write(data)
        copy.flush()
        # libtiff closes what it opens
        tiff = ctypes.c_void_p(library.TIFFFdOpen(os.dup(copy.fileno()), b"upload", b"r"))
        if not tiff:
            return []
        library.TIFFSetWarningHandler(ctypes.c_void_p(handler))
        _read_strips(library, tiff)
        library.TIFFSetWarningHandler(None)
        library.TIFFClose(tiff)
    return lines


def _read_strips(library: ctypes.CDLL, tiff: ctypes.c_void_p) -> None:
    size = library.TIFFStripSize(tiff)
    pixels = ctypes.create_string_buffer(size)
    for strip in range(library.TIFFNumberOfStrips(tiff)):
        library.TIFFReadEncodedStrip(tiff, strip, pixels, ctypes.c_ssize_t(size))

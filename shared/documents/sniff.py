"""Tells documents by their content, before anything opens them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from shared.documents.model import DocumentKind

#: PDF readers look for the header in so many bytes: some programs write something before it.
_PDF_HEAD_BYTES = 1024
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MAX_CHUNKS = 64


def document_kind(data: bytes) -> DocumentKind | None:
    """Return the kind of a document, else None.

    A TIFF, GIF, WebP or PNG is one only if it has a second page or frame; a single picture is an
    image. Whether all of it can be read is not looked at.
    """
    if is_pdf(data):
        return DocumentKind.PDF
    if data.startswith(_TIFF_MAGICS) and data[8:10] != b"CR":
        return DocumentKind.TIFF if _has_second_directory(data) else None
    if data.startswith((b"GIF87a", b"GIF89a")):
        return DocumentKind.GIF if _has_second_gif_frame(data) else None
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return DocumentKind.WEBP if _is_animated_webp(data) else None
    if data.startswith(_PNG_SIGNATURE):
        return DocumentKind.APNG if _is_animated_png(data) else None
    return None


def is_pdf(data: bytes) -> bool:
    """Tell whether it has a PDF's header, which may stand behind some other bytes."""
    head = data[:_PDF_HEAD_BYTES]
    if head.startswith(b"%PDF-"):
        return True
    # a picture may hold these letters by chance or as metadata
    known = (b"\xff\xd8\xff", _PNG_SIGNATURE, b"RIFF", b"GIF8", b"BM", *_TIFF_MAGICS)
    return b"%PDF-" in head and not head.startswith(known)


def _has_second_directory(data: bytes) -> bool:
    order = "<" if data.startswith(b"II") else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    offset_form, count_form, entry_bytes = ("Q", "Q", 20) if big else ("I", "H", 12)
    try:
        (first,) = struct.unpack_from(order + offset_form, data, 8 if big else 4)
        (entries,) = struct.unpack_from(order + count_form, data, first)
        end = first + struct.calcsize(order + count_form) + entries * entry_bytes
        (second,) = struct.unpack_from(order + offset_form, data, end)
    except struct.error:
        return False
    return bool(0 < second < len(data))


def _has_second_gif_frame(data: bytes) -> bool:
    frames = 0
    for marker in _gif_blocks(data):
        frames += marker == 0x2C
        if frames > 1:
            return True
    return False


def _gif_blocks(data: bytes) -> Iterator[int]:
    """Yield the marker of each block: 0x21 an extension, 0x2C a frame."""
    if len(data) < 13:
        return
    position = 13 + _colour_table_bytes(data[10])
    while position < len(data):
        marker = data[position]
        if marker not in (0x21, 0x2C):
            return
        yield marker
        if marker == 0x2C:
            if position + 10 > len(data):
                return
            position += 11 + _colour_table_bytes(data[position + 9])
        else:
            position += 2
        position = _skip_sub_blocks(data, position)


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_sub_blocks(data: bytes, position: int) -> int:
    while position < len(data) and data[position]:
        position += data[position] + 1
    return position + 1


def _is_animated_webp(data: bytes) -> bool:
    return data[12:16] == b"VP8X" and len(data) > 20 and bool(data[20] & 2)


def _is_animated_png(data: bytes) -> bool:
    """Tell whether an acTL chunk of two frames or more stands before the pixels."""
    position = len(_PNG_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        head = data[position : position + 8]
        if len(head) < 8 or head[4:] == b"IDAT":
            return False
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"acTL":
            return int.from_bytes(data[position + 8 : position + 12], "big") > 1
        position += 12 + length
    return False

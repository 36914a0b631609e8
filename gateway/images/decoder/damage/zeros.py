"""Runs of zeros inside packed pixels, where no packer leaves any: blocks that were lost."""

from __future__ import annotations

import re

from gateway.images.decoder.damage.report import Damage

_LONG_RUN = re.compile(rb"\0{16}")
_BOX_RUN = re.compile(rb"\0{24}")
_FAX_RUN = re.compile(rb"\0{8}")
_TABLES = 0xC4
_SCAN = b"\xff\xda"


def find_in_boxes(data: bytes) -> Damage | None:
    """Return the damage of an AVIF or HEIC: its coder writes what looks random.

    Files with EXIF are passed over: it stands among the pixels and is filled up with zeros.
    """
    at = data.find(b"mdat")
    if at < 0 or b"Exif" in data[:at] or b"mime" in data[:at]:
        return None
    return _damage_from(_BOX_RUN, data, at + 4, len(data))


def find_in_fax(packed: bytes) -> Damage | None:
    """Return the damage of a strip of Group 4: no codes have so many zero bits in a row."""
    return _damage_from(_FAX_RUN, packed.rstrip(b"\0"), 0, len(packed))


def find_in_jpeg(data: bytes) -> Damage | None:
    """Return the damage of a JPEG of one scan; flat areas may be zeros by their tables."""
    start = data.find(_SCAN)
    if _only_flat_blocks_are_zeros(data[:start]):
        return None
    return _damage_from(_LONG_RUN, data, start, len(data))


def _damage_from(pattern: re.Pattern[bytes], data: bytes, start: int, end: int) -> Damage | None:
    match = pattern.search(data, start, end)
    if not match:
        return None
    return Damage(f"a block of zeros stands in its pixel data at byte {match.start()}")


def _only_flat_blocks_are_zeros(head: bytes) -> bool:
    """Tell whether zero bits stand for "no change" and "end of block" in every code table."""
    firsts = list(_first_symbols(head))
    return not firsts or all(symbol == 0 for symbol in firsts)


def _first_symbols(head: bytes) -> list[int]:
    """Return the symbol of each Huffman table whose code is all zeros."""
    symbols, at = [], 2
    while at + 4 <= len(head) and head[at] == 0xFF:
        length = int.from_bytes(head[at + 2 : at + 4], "big")
        if head[at + 1] == _TABLES:
            symbols += _symbols_of_segment(head[at + 4 : at + 2 + length])
        at += 2 + max(2, length)
    return symbols


def _symbols_of_segment(tables: bytes) -> list[int]:
    symbols, at = [], 0
    while at + 17 < len(tables):
        symbols.append(tables[at + 17])
        at += 17 + sum(tables[at + 1 : at + 17])
    return symbols

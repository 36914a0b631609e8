"""Gives the alpha channel of an AVIF the size that libavif demands and some encoders leave out."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_SIZE, _PIXEL_INFO, _AUXILIARY = b"ispe", b"pixi", b"auxC"
_MOST_ITEMS, _MOST_PROPERTIES = 1_000, 1_000


def with_alpha_size(data: bytes) -> bytes | None:
    """Return the AVIF with the picture's size for its alpha channel, or None if that is no help.

    The size takes the place of the channel's pixel information, which nothing needs, so that no
    byte moves.
    """
    try:
        return _patch_associations(data)
    except (struct.error, IndexError):
        # its boxes end too early: it stays as broken as it is
        return None


def _patch_associations(data: bytes) -> bytes | None:
    kinds = _property_kinds(data)
    items = list(_read_associations(data))
    sizes = [index for item in items for _, _, index in item if kinds.get(index) == _SIZE]
    patched = bytearray(data)
    for item in items:
        by_kind = {kinds.get(index): (at, width) for at, width, index in item}
        if _AUXILIARY in by_kind and _SIZE not in by_kind and _PIXEL_INFO in by_kind and sizes:
            at, width = by_kind[_PIXEL_INFO]
            patched[at : at + width] = sizes[0].to_bytes(width, "big")
    return bytes(patched) if patched != data else None


def _property_kinds(data: bytes) -> dict[int, bytes]:
    """Return the kind of each property by its number, from 1."""
    start = data.find(b"ipco")
    end = start - 4 + int.from_bytes(data[max(0, start - 4) : start], "big")
    kinds: dict[int, bytes] = {}
    at = start + 4
    while 0 < at < end and len(kinds) < _MOST_PROPERTIES:
        length, kind = struct.unpack_from(">I4s", data, at)
        kinds[len(kinds) + 1] = kind
        at += max(8, length)
    return kinds


def _read_associations(data: bytes) -> Iterator[list[tuple[int, int, int]]]:
    """Yield (offset, bytes, number) of the properties of each item."""
    at = data.find(b"ipma") + 4
    if at < 4:
        return
    versions, count = struct.unpack_from(">II", data, at)
    id_bytes = 4 if versions >> 24 else 2
    width = 2 if versions & 1 else 1
    number_bits = 0x7FFF if width == 2 else 0x7F
    at += 8
    for _ in range(min(count, _MOST_ITEMS)):
        at += id_bytes
        places = [at + 1 + width * place for place in range(data[at])]
        at += 1 + width * len(places)
        yield [
            (place, width, int.from_bytes(data[place : place + width], "big") & number_bits)
            for place in places
        ]

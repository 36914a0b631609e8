"""The damage of a WebP, whose pixel data have no checksum: they do not end where the picture does.

A decoder goes on with broken data as if they were whole, but hardly ever needs all of them then.
So the file is decoded once more without its last bytes: a sound one cannot be.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.images.decoder.damage.report import Damage

#: Chunks of pixels. Encoders fill the last of the partitions of VP8 up with four bytes at most, and
#: hardly any writes several.
_PIXELS = frozenset((b"VP8 ", b"VP8L"))
_FILLER = b"SKIP"
_FRAME = b"ANMF"
_HEADER_BYTES, _CHUNK_HEADER_BYTES, _FRAME_HEADER_BYTES = 12, 8, 16


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    #: Offsets of the contents, and behind them.
    start: int
    end: int


def find_damage(data: bytes, can_be_decoded: Callable[[bytes], bool]) -> Damage | None:
    """Return what is broken in a WebP that Pillow has drawn, or None."""
    for chunk in _first_picture(data):
        if chunk.kind not in _PIXELS:
            continue
        shorter = _without_last_bytes(data, chunk)
        if shorter and can_be_decoded(shorter):
            return Damage("its pixel data go on behind the end of the picture")
    return None


def _first_picture(data: bytes) -> Iterator[_Chunk]:
    """Yield the chunks of a still picture, or of the first frame of an animation."""
    for chunk in _read_chunks(data, _HEADER_BYTES, len(data)):
        if chunk.kind == _FRAME:
            yield from _read_chunks(data, chunk.start + _FRAME_HEADER_BYTES, chunk.end)
            return
        yield chunk


def _read_chunks(data: bytes, at: int, end: int) -> Iterator[_Chunk]:
    while at + _CHUNK_HEADER_BYTES <= end:
        kind, size = struct.unpack_from("<4sI", data, at)
        at += _CHUNK_HEADER_BYTES
        yield _Chunk(kind, at, min(at + size, end))
        at += size + size % 2


def _without_last_bytes(data: bytes, chunk: _Chunk) -> bytes | None:
    """Return the file with a chunk that is 8 or 9 bytes shorter, and an unknown one behind it."""
    odd = (chunk.end - chunk.start) % 2
    end = chunk.end - _CHUNK_HEADER_BYTES - odd
    if end <= chunk.start:
        return None
    size, filler = struct.pack("<I", end - chunk.start), _FILLER + struct.pack("<I", 2 * odd)
    shorter = data[: chunk.start - 4] + size + data[chunk.start : end] + filler
    return shorter + data[end + _CHUNK_HEADER_BYTES :]

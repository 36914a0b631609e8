"""The content of a file as one blob, with a list in Redis of where its pieces end."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shared.store import keys
from shared.store.blobs.contents import BlobContents
from shared.store.connection import Client
from shared.store.failures import guard

#: Where a piece ends, and its CRC-32: parts of a blob are read, whose hash is of the whole.
_END = struct.Struct("<QI")
#: Bytes that are written or read at once, and pieces.
_CHUNK_BYTES, _CHUNK_PIECES = 4 << 20, 200


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A blob that no row names yet."""

    blob: str
    checksum: str
    ends: bytes
    bytes: int
    pieces: int


def write_file(blobs: BlobContents, row: str, pieces: Iterable[bytes]) -> WrittenFile:
    """Write pieces as one blob for the row with this key; raises BlobsUnavailable."""
    name, digest = blobs.announce("files", row), hashlib.sha256()
    ends, size = bytearray(), 0
    with blobs.open_writer(name) as writer:
        for chunk in _chunks(pieces):
            for piece in chunk:
                size += len(piece)
                ends += _END.pack(size, zlib.crc32(piece))
            data = b"".join(chunk)
            digest.update(data)
            writer.write(data)
    return WrittenFile(name, digest.hexdigest(), bytes(ends), size, len(ends) // _END.size)


def _chunks(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for piece in pieces:
        chunk.append(piece)
        size += len(piece)
        if size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class BlobPieces:
    """Reads pieces of one file; None stands for one that is gone or damaged."""

    def __init__(self, client: Client, blobs: BlobContents, row: str, blob: str) -> None:
        """`client` must return bytes."""
        self._redis = client
        self._blobs = blobs
        self._ends_key = row + keys.FILE_ENDS
        self._blob = blob

    def read(self, numbers: Sequence[int]) -> Iterator[bytes | None]:
        """Yield the pieces with these numbers, which ascend."""
        for first, last in _runs(numbers):
            yield from self._read_run(first, last)

    def _read_run(self, first: int, last: int) -> Iterator[bytes | None]:
        spans: Sequence[tuple[int, int, int]] = self._spans(first, last)
        missing = last + 1 - first - len(spans)
        while spans:
            some = _fitting(spans)
            begin = some[0][0]
            data = self._blobs.read_range(self._blob, begin, some[-1][1])
            for start, end, crc in some:
                piece = None if data is None else data[start - begin : end - begin]
                yield piece if piece is not None and zlib.crc32(piece) == crc else None
            spans = spans[len(some) :]
        yield from [None] * missing

    def _spans(self, first: int, last: int) -> list[tuple[int, int, int]]:
        """Return where pieces begin and end, and their checksums."""
        size = _END.size
        lowest = max(0, first - 1)
        with guard():
            packed = self._redis.getrange(self._ends_key, lowest * size, (last + 1) * size - 1)
        ends = list(_END.iter_unpack(packed[: len(packed) // size * size]))
        starts = [0, *(end for end, _ in ends)] if first == 0 else [end for end, _ in ends]
        kept = ends if first == 0 else ends[1:]
        return [(start, end, crc) for start, (end, crc) in zip(starts, kept, strict=False)]


def _fitting(spans: Sequence[tuple[int, int, int]]) -> Sequence[tuple[int, int, int]]:
    """Return as many of the first ones as are read at once, at least one."""
    most = spans[0][0] + _CHUNK_BYTES
    count = sum(end <= most for _, end, _ in spans[:_CHUNK_PIECES])
    return spans[: max(1, count)]


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of each run of numbers without a gap, of some length at most."""
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = last = number
        elif number == last + 1 and number - first < _CHUNK_PIECES:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last

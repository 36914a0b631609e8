"""Work over large input in slices, between which the other requests of the process go on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import IO, TypeVar
from urllib.parse import unquote_to_bytes

import gevent

#: Bytes or characters that are worked on at once: some milliseconds.
SLICE = 256 << 10
#: Of work in Python on each of them, which is slower.
_SLOW_SLICE = 32 << 10
#: Of messages and the like, each of which takes some hundredths of a millisecond.
_ITEMS_AT_ONCE = 500
#: Of a text that anybody writes, in any script; longer ones are images in base64.
MAX_TEXT_BYTES = 256 << 10


Item = TypeVar("Item")


def give_way() -> None:
    """Return after one turn of the event loop, in which whatever else is ready has run."""
    hub = gevent.get_hub()
    # sleep(0) may come back 50 times before the loop looks at its sockets again
    hub.wait(hub.loop.timer(0))


def with_pauses(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items, with a pause now and then."""
    for number, item in enumerate(items):
        if number and number % _ITEMS_AT_ONCE == 0:
            give_way()
        yield item


def iter_slices(length: int, size: int = SLICE) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each slice of an input of this length, with a pause between any two.

    An input of length 0 has one empty slice.
    """
    yield 0, min(size, length)
    for begin in range(size, length, size):
        give_way()
        yield begin, min(begin + size, length)


def sha256_hex(data: bytes | bytearray) -> str:
    """Return the SHA-256 as 64 hex digits."""
    digest = hashlib.sha256()
    view = memoryview(data)
    for begin, end in iter_slices(len(data)):
        digest.update(view[begin:end])
    return digest.hexdigest()


def unquote_slowly(
    text: bytes | bytearray, begin: int = 0, end: int | None = None, *, form: bool = False
) -> bytearray:
    """Return the bytes that percent-encoded text stands for between two places.

    In a form a + stands for a blank.
    """
    unquoted = bytearray()
    end = len(text) if end is None else end
    while begin < end:
        if unquoted:
            give_way()
        part_end = _end_of_part(text, begin, end)
        part = bytes(text[begin:part_end])
        if form:
            part = part.replace(b"+", b" ")
        unquoted += unquote_to_bytes(part) if b"%" in part else part
        begin = part_end
    return unquoted


def _end_of_part(text: bytes | bytearray, begin: int, end: int) -> int:
    """Return a place where no %XX is cut, at the end of a slice or just before."""
    is_escaped = text.find(b"%", begin, min(end, begin + SLICE)) >= 0
    place = begin + (_SLOW_SLICE if is_escaped else SLICE)
    if place >= end:
        return end
    escape = text.rfind(b"%", place - 2, place)
    return place if escape < 0 else escape


def read_slowly(stream: IO[bytes]) -> bytearray:
    """Return what is left of a stream; raises what reading it raises."""
    data = bytearray()
    while part := stream.read(SLICE):
        data += part
        give_way()
    return data


def decode_slowly(data: bytes | bytearray, charset: str = "utf-8") -> str | None:
    """Return the text, strange bytes replaced by a sign; None if it is long and not ASCII."""
    if len(data) <= MAX_TEXT_BYTES:
        return data.decode(charset, "replace")
    parts: list[str] = []
    for begin, end in iter_slices(len(data)):
        part = data[begin:end]
        if not part.isascii():
            return None
        parts.append(part.decode("ascii"))
    return "".join(parts)

"""JSON of any size, read and written in parts, between which a process does its other work.

Only the standard library's `sleep` is used, so that it waits cooperatively once gevent has
patched it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: Characters that are read or written at once: some milliseconds.
_SLICE = 256 << 10
#: Long enough for an event loop to look at its sockets, which it need not do for 0.
_INSTANT_S = 1e-6
#: Levels of objects and lists whose members are read one by one: an output, and its pages.
_LEVELS = 2

_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\n\r]*")


def exceeds(value: Any, chars: int) -> bool:
    """Tell whether a value is longer than so many characters as JSON, at the least."""
    rest = [value]
    while rest and chars >= 0:
        one = rest.pop()
        chars -= len(one) if isinstance(one, (str, dict, list, tuple)) else 1
        if chars < 0:
            break
        if isinstance(one, dict):
            rest.extend(one.values())
        elif isinstance(one, (list, tuple)):
            rest.extend(one)
    return chars < 0


def load_slowly(text: str) -> Any:
    """Return what a JSON text says; raises ValueError for what is none."""
    if len(text) <= _SLICE:
        return json.loads(text)
    reader = _Reader(text)
    value = reader.read(_LEVELS)
    reader.expect_end()
    return value


class _Reader:
    """A place in a long text of JSON, which moves on as its values are read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._paused_at = 0

    def read(self, levels: int) -> Any:
        """Return the value at this place, its members one by one on so many levels."""
        kind = self._peek()
        if levels and kind == "{":
            return {self._read_name(): self.read(levels - 1) for _ in self._iter_members("}")}
        if levels and kind == "[":
            return [self.read(levels - 1) for _ in self._iter_members("]")]
        return self._read_whole()

    def expect_end(self) -> None:
        """Raise ValueError where more than blanks follow."""
        if self._peek():
            raise self._complain("Extra data")

    def _read_whole(self) -> Any:
        self._peek()
        value, self._at = _DECODER.raw_decode(self._text, self._at)
        if self._at - self._paused_at > _SLICE:
            self._paused_at = self._at
            time.sleep(_INSTANT_S)
        return value

    def _read_name(self) -> str:
        name = self._read_whole()
        if not isinstance(name, str):
            raise self._complain("Expecting a name")
        self._take(":")
        return name

    def _iter_members(self, closing: str) -> Iterator[None]:
        """Come to each member of the object or list that begins here, then behind its end."""
        self._at += 1
        if self._peek() == closing:
            self._at += 1
            return
        yield
        while self._take("," + closing) == ",":
            yield

    def _peek(self) -> str:
        """Return the next character but blanks; "" at the end."""
        blanks = _BLANKS.match(self._text, self._at)
        self._at = blanks.end() if blanks else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, expected: str) -> str:
        char = self._peek()
        if not char or char not in expected:
            raise self._complain(f"Expecting one of {expected}")
        self._at += 1
        return char

    def _complain(self, what: str) -> json.JSONDecodeError:
        return json.JSONDecodeError(what, self._text, self._at)


def dump_slowly(value: Any, **options: Any) -> str:
    """Return a value as JSON; `options` are those of json.dumps but for `indent`."""
    if not exceeds(value, _SLICE):
        return json.dumps(value, **options)
    parts, since = [], 0
    for part in _iter_parts(value, options):
        parts.append(part)
        since += len(part)
        if since > _SLICE:
            since = 0
            time.sleep(_INSTANT_S)
    return "".join(parts)


def _iter_parts(value: Any, options: dict[str, Any]) -> Iterator[str]:
    """Yield the JSON of a value in parts of which none is much longer than a slice."""
    if not exceeds(value, _SLICE):
        yield json.dumps(value, **options)
    elif isinstance(value, str):
        yield '"'
        for begin in range(0, len(value), _SLICE):
            yield json.dumps(value[begin : begin + _SLICE], **options)[1:-1]
        yield '"'
    elif isinstance(value, Mapping):
        # {"name": 0} without what is around the name and its colon
        members = ((json.dumps({name: 0}, **options)[1:-2], value[name]) for name in value)
        yield from _iter_members("{}", members, options)
    else:
        yield from _iter_members("[]", (("", item) for item in value), options)


def _iter_members(
    brackets: str, members: Iterable[tuple[str, Any]], options: dict[str, Any]
) -> Iterator[str]:
    comma = (options.get("separators") or (", ", ": "))[0]
    before = brackets[0]
    for name, member in members:
        yield before + name
        yield from _iter_parts(member, options)
        before = comma
    yield brackets[1]

"""Bounds what a JSON text costs before it is parsed, and takes long texts out of its way.

The parser, the checks after it and all that walks over the value hold up every other request. So
the text is scanned first: values are counted, and long strings without escapes, which are images in
base64, are replaced by short marks. What is left has a bounded size.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Never

from gateway.large_input import SLICE, give_way, iter_slices
from shared.json_members import join_members

#: Far more than any parameter needs, and far from the recursion limit of every reader.
MAX_DEPTH = 32
#: Members and items of a text: a chat of 1,000 messages has 5,000.
MAX_VALUES = 20_000
#: Bytes of a text beside its long strings: a long conversation in escapes, and a lot more.
MAX_PLAIN_BYTES = 4 << 20
#: Below this a text costs nothing.
SMALL_BYTES = 16 << 10
#: A string from here on is put aside.
_LONG_BYTES = 16 << 10
#: Strings that are looked at between two pauses.
_STRINGS_AT_ONCE = 2000
#: A part of a string: some milliseconds of escapes.
_ESCAPES = re.compile(rb'[^"\\]*(?:\\.[^"\\]*){0,20000}', re.DOTALL)
_BACKSLASH = ord("\\")
_TOO_MANY = f"has more than {MAX_VALUES} members and items"
#: Bytes in which the nesting is looked at where there is too much of them.
_CHECKED_BYTES = 4 * MAX_VALUES
_CONTROLS = bytes(range(32))
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class TooLarge(Exception):
    """The text has too much in it; the message completes a sentence about it."""


class TooDeep(ValueError):
    """The text is nested too deep."""

    def __init__(self) -> None:
        super().__init__(f"it is nested deeper than {MAX_DEPTH} levels")


@dataclass(slots=True)
class Lifted:
    """A JSON text whose long strings are replaced by marks."""

    skeleton: bytes | bytearray
    #: The long strings by their marks.
    texts: dict[str, str] = field(default_factory=dict)
    #: Where each mark begins in the skeleton, and the bytes that it is shorter than its string.
    _gaps: list[tuple[int, int]] = field(default_factory=list)

    def add_gap(self, at: int, missing: int) -> None:
        """Note that a mark at `at` of the skeleton is shorter by `missing` bytes."""
        self._gaps.append((at, missing))

    def place(self, at: int) -> int:
        """Return the place in the whole text of a place in the skeleton."""
        return at + sum(missing for begin, missing in self._gaps if begin < at)

    def put_back(self, value: Any) -> Any:
        """Return a parsed value with its long strings; raises ValueError for a repeated name."""
        if not self.texts:
            return value
        if isinstance(value, str):
            return self.texts.get(value, value)
        if isinstance(value, list):
            return [self.put_back(item) for item in value]
        if isinstance(value, dict):
            return join_members(
                [(self.put_back(name), self.put_back(part)) for name, part in value.items()]
            )
        return value


def lift_long_texts(raw: bytes | bytearray) -> Lifted:
    """Return a JSON text without its long strings; raises TooLarge and TooDeep.

    It need not be valid JSON: the parser sees to that.
    """
    return Lifted(raw) if len(raw) <= SMALL_BYTES else _Scanner(raw).scan()


class _Scanner:
    """One way through a JSON text, from string to string."""

    def __init__(self, raw: bytes | bytearray) -> None:
        self._raw = raw
        self._skeleton = bytearray()
        #: What stands outside of strings.
        self._outside = bytearray()
        self._lifted = Lifted(self._skeleton)
        # cannot be guessed, so that no other string is taken for a mark
        self._prefix = secrets.token_hex(8)

    def scan(self) -> Lifted:
        """Return the text without its long strings; raises TooLarge and TooDeep."""
        end = count = paused = 0
        while (begin := self._raw.find(b'"', end)) >= 0:
            self._keep_outside(end, begin)
            end = begin
            string_end = self._end_of_string(begin + 1)
            if string_end is None:
                # the parser says that it is not closed
                break
            self._take_string(begin, string_end)
            end = string_end
            count += 1
            if count > 2 * MAX_VALUES:
                self._refuse(_TOO_MANY)
            if count % _STRINGS_AT_ONCE == 0 or end > paused + SLICE:
                paused = end
                give_way()
        self._keep_outside(end, len(self._raw))
        self._check_values()
        return self._lifted

    def _keep_outside(self, begin: int, end: int) -> None:
        # where there is no room for it, its begin shows how deep it is nested
        fits = len(self._skeleton) + end - begin <= MAX_PLAIN_BYTES
        part = self._raw[begin : end if fits else begin + _CHECKED_BYTES]
        self._outside += part
        self._check_room(end - begin)
        self._skeleton += part

    def _take_string(self, begin: int, end: int) -> None:
        """Append a string, or a mark in place of a long one."""
        text = _long_text(self._raw, begin + 1, end - 1)
        if text is None:
            self._check_room(end - begin)
            self._skeleton += self._raw[begin:end]
            return
        mark = f"{self._prefix}:{len(self._lifted.texts)}"
        self._lifted.texts[mark] = text
        self._lifted.add_gap(len(self._skeleton), end - begin - len(mark) - 2)
        self._skeleton += f'"{mark}"'.encode()

    def _end_of_string(self, begin: int) -> int | None:
        """Return the end of a string, its quote included; None where it is not closed."""
        quote = self._raw.find(b'"', begin)
        if quote < 0:
            return None
        if self._raw[quote - 1] != _BACKSLASH:
            return quote + 1
        # a string with such escapes is never put aside
        self._check_room(quote - begin)
        return self._end_of_escaped(begin)

    def _end_of_escaped(self, begin: int) -> int | None:
        most = begin + MAX_PLAIN_BYTES
        while (match := _ESCAPES.match(self._raw, begin, most)) and match.end() > begin:
            begin = match.end()
            if self._raw[begin : begin + 1] == b'"':
                return begin + 1
            give_way()
        self._check_room(begin - most + MAX_PLAIN_BYTES)
        return None

    def _check_room(self, size: int) -> None:
        if len(self._skeleton) + size > MAX_PLAIN_BYTES:
            self._refuse(f"has more than {MAX_PLAIN_BYTES >> 20} MiB beside its images")

    def _check_values(self) -> None:
        """Count the values: each follows a comma or an opening bracket."""
        count = 0
        for begin, end in iter_slices(len(self._outside)):
            part = self._outside[begin:end]
            count += part.count(b",") + part.count(b"[") + part.count(b"{")
            if count > MAX_VALUES:
                self._refuse(_TOO_MANY)

    def _refuse(self, cause: str) -> Never:
        """Raise TooLarge, or TooDeep where the first brackets are nested too deep."""
        depth = 0
        for bracket in self._outside[:_CHECKED_BYTES].translate(None, _NOT_BRACKETS):
            depth += 1 if bracket in b"[{" else -1
            if depth > MAX_DEPTH:
                raise TooDeep
        raise TooLarge(cause)


def _long_text(raw: bytes | bytearray, begin: int, end: int) -> str | None:
    r"""Return the text of a long string that is ASCII without escapes but `\/`, else None."""
    if end - begin < _LONG_BYTES:
        return None
    parts: list[str] = []
    cut = b""
    for first, last in iter_slices(end - begin):
        part = cut + raw[begin + first : begin + last]
        if not part.isascii() or len(part.translate(None, _CONTROLS)) < len(part):
            return None
        # PHP's encoder writes each / as \/
        cut = b"\\" if part.endswith(b"\\") else b""
        part = part.removesuffix(cut).replace(b"\\/", b"/")
        if b"\\" in part:
            return None
        parts.append(part.decode("ascii"))
    return None if cut else "".join(parts)

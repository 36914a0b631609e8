"""Decodes base64 text in any of its usual spellings, slice by slice."""

from __future__ import annotations

import binascii
import re

from gateway.large_input import SLICE, give_way, iter_slices, unquote_slowly
from shared.errors import InvalidBase64

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#: A form decoder makes a blank of a +.
_STANDARD = bytes.maketrans(b"-_ ", b"+/+")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_NOT_ASCII = re.compile("[^\0-\x7f]")
_BREAKS = b"\r\n\t\f\v"
_WHITESPACE = b" " + _BREAKS
_BREAK_AND_BLANKS = re.compile(rb"[\r\n\t\f\v][ \r\n\t\f\v]*")
_BREAK_AND_SPACES = re.compile(b"\n *")
#: Whitespace in a row.
_MAX_BLANKS = 64 << 10
_BLANKS = re.compile(rb"[ \r\n\t\f\v]{0,%d}" % _MAX_BLANKS)


def read_digits(text: str, pointer: str) -> bytes:
    """Return base64 digits, in the standard alphabet but unchecked, of text in any usual spelling.

    Escapes, whitespace and padding are gone. Raises InvalidBase64, which names `pointer`.
    """
    if not text.isascii():
        other = _NOT_ASCII.search(text)
        raise _character_error(other.start() if other else 0, other[0] if other else "", pointer)
    data: bytes | bytearray = text.encode("ascii")
    give_way()
    if b"%" in data:
        data = unquote_slowly(data)
    data = _drop_line_breaks(data, pointer)
    # lines that were wrapped with spaces are joined; any other space was a +
    dropped = b" " if _is_wrapped(data) else b""
    digits = bytearray()
    for begin, end in iter_slices(len(data)):
        digits += data[begin:end].translate(_STANDARD, dropped)
    give_way()
    return bytes(digits.rstrip(b"="))


def decode_digits(digits: bytes, pointer: str) -> bytes:
    """Return the bytes that base64 digits stand for; raises InvalidBase64, naming `pointer`."""
    if len(digits) % 4 == 1:
        _check_alphabet(digits, 0, pointer)
        raise InvalidBase64(
            f"The base64 text has {len(digits)} characters, which no file encodes to: it was cut.",
            pointer=pointer,
        )
    decoded = bytearray()
    for begin, end in iter_slices(len(digits)):
        part = digits[begin:end]
        _check_alphabet(part, begin, pointer)
        decoded += binascii.a2b_base64(part + b"=" * (-len(part) % 4))
    return bytes(decoded)


def _check_alphabet(part: bytes, begin: int, pointer: str) -> None:
    if part.translate(None, _ALPHABET):
        invalid = _NOT_BASE64.search(part)
        if invalid:
            character = invalid[0].decode("latin-1")
            raise _character_error(begin + invalid.start(), character, pointer)


def _character_error(at: int, character: str, pointer: str) -> InvalidBase64:
    return InvalidBase64(
        f"Character {at + 1} of the base64 text, {character!r}, is not base64.", pointer=pointer
    )


def _drop_line_breaks(data: bytes | bytearray, pointer: str) -> bytes | bytearray:
    """Return the text without line breaks and the whitespace beside them; spaces alone stay."""
    data = data.strip(_WHITESPACE)
    kept, begin = bytearray(), 0
    for _, least in iter_slices(len(data), SLICE // 8):
        if least <= begin:
            continue
        blanks = _BLANKS.match(data, least)
        end = blanks.end() if blanks else least
        if end - least >= _MAX_BLANKS:
            raise InvalidBase64("The base64 text has a long gap of blanks in it.", pointer=pointer)
        kept += _without_breaks(data[begin:end])
        begin = end
    return kept


def _without_breaks(part: bytes | bytearray) -> bytes | bytearray:
    joined = part.translate(None, _BREAKS)
    if len(joined) == len(part) or b" " not in part:
        return joined
    # the spaces before a break are taken from behind: from the front each would be looked at again
    # and again
    joined = _BREAK_AND_BLANKS.sub(b"\n", part)
    return _BREAK_AND_SPACES.sub(b"", joined[::-1])[::-1]


def _is_wrapped(data: bytes | bytearray) -> bool:
    """Tell whether spaces part the text into lines of one length, the last one aside."""
    step = data.find(b" ") + 1
    if not step:
        return False
    blanks = sum(data.count(b" ", begin, end) for begin, end in iter_slices(len(data)))
    # beyond the last space there are only the characters of the last line
    ends = data[step - 1 : data.rfind(b" ") + 1 : step]
    if (len(data) - blanks) % 4 or len(ends) != blanks:
        return False
    return all(ends.count(b" ", begin, end) == end - begin for begin, end in iter_slices(blanks))

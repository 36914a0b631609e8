"""Decodes base64 text in any of its usual spellings, slice by slice."""

from __future__ import annotations

import binascii
import re

from gateway.large_input import iter_slices, unquote_slowly
from shared.errors import InvalidBase64

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_NOT_ASCII = re.compile("[^\0-\x7f]")
_WHITESPACE = b" \r\n\t\f\v"
_RUN = re.compile(rb"[ \r\n\t\f\v]+")
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
    if b"%" in data:
        data = unquote_slowly(data)
    data = _drop_line_breaks(data, pointer)
    if b" " in data:
        data = _join_wrapped_lines(data)
    data = data.rstrip(b"=")
    digits = bytearray()
    for begin, end in iter_slices(len(data)):
        digits += data[begin:end].translate(_URL_SAFE)
    return bytes(digits)


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
    for _, least in iter_slices(len(data)):
        if least <= begin:
            continue
        blanks = _BLANKS.match(data, least)
        end = blanks.end() if blanks else least
        if end - least >= _MAX_BLANKS:
            raise InvalidBase64("The base64 text has a long gap of blanks in it.", pointer=pointer)
        part = data[begin:end]
        if len(part.translate(None, _WHITESPACE)) < len(part):
            part = _RUN.sub(_without_breaks, part)
        kept += part
        begin = end
    return kept


def _without_breaks(run: re.Match[bytes]) -> bytes:
    return b"" if run[0].strip(b" ") else run[0]


def _join_wrapped_lines(data: bytes | bytearray) -> bytes | bytearray:
    """Join lines that were wrapped with spaces; any other space is a + that a form decoder ate."""
    blanks = sum(data.count(b" ", begin, end) for begin, end in iter_slices(len(data)))
    if (len(data) - blanks) % 4 == 0 and _has_equal_lines(data, blanks):
        return data.replace(b" ", b"")
    return data.replace(b" ", b"+")


def _has_equal_lines(data: bytes | bytearray, blanks: int) -> bool:
    """Tell whether all lines between the spaces have one length, the last one aside."""
    step = data.find(b" ") + 1
    # beyond the last space there are only the characters of the last line
    ends = data[step - 1 : data.rfind(b" ") + 1 : step]
    return len(ends) == blanks and not ends.strip(b" ")

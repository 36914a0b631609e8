"""Unpacks the bytes of an image that a request sends: a form file, base64 or a data: URI."""

from __future__ import annotations

import re
from dataclasses import dataclass

from werkzeug.datastructures import FileStorage

from gateway.images.base64_text import decode_digits, read_digits
from gateway.large_input import sha256_hex, unquote_slowly
from shared.errors import ImageEmpty, InvalidBase64, PayloadTooLarge, UploadMismatch
from shared.settings import Settings

_DATA_URI = re.compile(r"data:(?P<type>[^,;]*)(?P<params>(?:;[^,]*)?),", re.IGNORECASE)
#: Characters before the data of a data: URI.
_URI_HEAD_CHARS = 4096


@dataclass(frozen=True, slots=True)
class Upload:
    """The bytes of one image file, with the name and media type that the client sent."""

    data: bytes
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class UploadChecksum:
    """The size and SHA-256 that a client sent of an image file, to detect corruption."""

    sha256: str | None = None
    size: int | None = None

    def check(self, upload: Upload, pointer: str) -> None:
        """Raise UploadMismatch, naming `pointer`, when another file has arrived."""
        size = len(upload.data)
        if self.size is not None and size != self.size:
            raise UploadMismatch(f"{size} of {self.size} bytes arrived.", pointer=pointer)
        if self.sha256 is None:
            return
        digest = sha256_hex(upload.data)
        if digest != self.sha256.lower():
            raise UploadMismatch(f"The SHA-256 of the uploaded bytes is {digest}.", pointer=pointer)


def read_text(value: str, *, pointer: str, settings: Settings) -> Upload:
    """Return the image in a data: URI or in plain base64, in any of their usual spellings.

    Raises InvalidBase64, ImageEmpty or PayloadTooLarge, each naming `pointer`.
    """
    text = value.strip()
    uri = _DATA_URI.match(text[:_URI_HEAD_CHARS])
    content_type = uri["type"].strip().lower() or None if uri else None
    if uri:
        text = text[uri.end() :]
    elif text[:5].lower() == "data:":
        raise InvalidBase64("The data: URI has no comma before its data.", pointer=pointer)
    if uri and not uri["params"].lower().rstrip().endswith(";base64"):
        data = _unquote(text, pointer, settings.upload_max_bytes)
    else:
        data = _decode_base64(text, pointer, settings.upload_max_bytes)
    _check_size(len(data), pointer, settings.upload_max_bytes)
    return Upload(data, content_type=content_type)


def read_file(storage: FileStorage, *, pointer: str, settings: Settings) -> Upload:
    """Return the image in a file of a form; never reads more than one byte too many.

    Raises ImageEmpty or PayloadTooLarge, each naming `pointer`.
    """
    data = storage.stream.read(settings.upload_max_bytes + 1)
    _check_size(len(data), pointer, settings.upload_max_bytes)
    return Upload(data, storage.filename or None, storage.mimetype or None)


def _check_size(size: int, pointer: str, most: int) -> None:
    if not size:
        raise ImageEmpty(pointer=pointer)
    if size > most:
        raise _too_large_error(pointer, most)


def _too_large_error(pointer: str, most: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The image file is larger than the limit of {most} bytes.", pointer=pointer
    )


def _unquote(text: str, pointer: str, most: int) -> bytes:
    # each byte is one character, or three of them
    if len(text) > 3 * most:
        raise _too_large_error(pointer, most)
    return bytes(unquote_slowly(text.encode("utf-8", "replace")))


def _decode_base64(text: str, pointer: str, most: int) -> bytes:
    digits = read_digits(text, pointer)
    if len(digits) * 3 // 4 > most:
        raise _too_large_error(pointer, most)
    return decode_digits(digits, pointer)

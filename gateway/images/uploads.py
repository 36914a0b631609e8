"""Unpacks the bytes of a file that a request sends: a form file, base64 or a data: URI."""

from __future__ import annotations

import re
from dataclasses import dataclass

from werkzeug.datastructures import FileStorage

from gateway.images.base64_text import decode_digits, read_digits
from gateway.large_input import sha256_hex, unquote_slowly
from shared.documents.sniff import is_pdf
from shared.errors import ImageEmpty, InvalidBase64, PayloadTooLarge, UploadMismatch
from shared.settings import Settings

_DATA_URI = re.compile(r"data:(?P<type>[^,;]*)(?P<params>(?:;[^,]*)?),", re.IGNORECASE)
#: Characters before the data of a data: URI.
_URI_HEAD_CHARS = 4096
#: Of a file, by which its size is bounded.
_HEAD_BYTES = 1024
_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True)
class Upload:
    """The bytes of one file, with the name and media type that the client sent."""

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
    """Return the file in a data: URI or in plain base64, in any of their usual spellings.

    Raises InvalidBase64, ImageEmpty or PayloadTooLarge, each naming `pointer`.
    """
    text = value.strip()
    uri = _DATA_URI.match(text[:_URI_HEAD_CHARS])
    content_type = uri["type"].strip().lower() or None if uri else None
    if uri:
        text = text[uri.end() :]
    elif text[:5].lower() == "data:":
        raise InvalidBase64("The data: URI has no comma before its data.", pointer=pointer)
    most = max_file_bytes(settings)
    if uri and not uri["params"].lower().rstrip().endswith(";base64"):
        data = _unquote(text, pointer, most)
    else:
        data = _decode_base64(text, pointer, most)
    check_size(data, pointer, settings)
    return Upload(data, content_type=content_type)


def read_file(storage: FileStorage, *, pointer: str, settings: Settings) -> Upload:
    """Return the file of a form; never reads more than one byte too many.

    Raises ImageEmpty or PayloadTooLarge, each naming `pointer`.
    """
    head = storage.stream.read(_HEAD_BYTES)
    data = head + storage.stream.read(_max_bytes(head, settings) + 1 - len(head))
    check_size(data, pointer, settings)
    return Upload(data, storage.filename or None, storage.mimetype or None)


def check_size(data: bytes, pointer: str, settings: Settings) -> None:
    """Raise ImageEmpty, or PayloadTooLarge by the limit of its kind, naming `pointer`."""
    most = _max_bytes(data, settings)
    if not data:
        raise ImageEmpty(pointer=pointer)
    if len(data) > most:
        raise _too_large_error(pointer, most, "document" if _may_have_pages(data) else "image")


def max_file_bytes(settings: Settings) -> int:
    """Return the bytes that a file of any kind may have."""
    return max(settings.upload_max_bytes, settings.document_max_bytes)


def _max_bytes(head: bytes, settings: Settings) -> int:
    """Return the bytes that the file with this beginning may have."""
    return settings.document_max_bytes if _may_have_pages(head) else settings.upload_max_bytes


def _may_have_pages(head: bytes) -> bool:
    return is_pdf(head) or head.startswith(_TIFF_MAGICS)


def _too_large_error(pointer: str, most: int, kind: str = "image") -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The {kind} file is larger than the limit of {most} bytes.", pointer=pointer
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

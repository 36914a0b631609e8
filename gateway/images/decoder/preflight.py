"""Checks the structure of a file before its decoder sees it, and leaves out what is not needed.

Nothing is decoded here; only headers, lengths and checksums are read, each byte once. Runs in the
decoder child.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from gateway.images.decoder.checks.boxes import check_boxes, read_colour_code
from gateway.images.decoder.checks.checked_file import CheckedFile
from gateway.images.decoder.checks.gif import check_gif
from gateway.images.decoder.checks.jpeg import check_jpeg
from gateway.images.decoder.checks.png import check_png
from gateway.images.decoder.checks.webp import check_webp
from gateway.images.formats import DecodeLimits, ImageFormat
from shared.errors import ImageTruncated


def check_file(fmt: ImageFormat, data: bytes, limits: DecodeLimits) -> CheckedFile:
    """Return the file to decode; raise ImageTruncated, ImageDecodeFailed or a limit's error."""
    return _CHECKS[fmt](data, limits)


def _check_avif(data: bytes, _limits: DecodeLimits) -> CheckedFile:
    check_boxes(data, "AVIF")
    return CheckedFile(data, colour_code=read_colour_code(data))


def _check_heic(data: bytes, _limits: DecodeLimits) -> CheckedFile:
    check_boxes(data, "HEIC")
    return CheckedFile(data, colour_code=read_colour_code(data))


def _check_tiff(data: bytes, _limits: DecodeLimits) -> CheckedFile:
    order = "<" if data.startswith(b"II") else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    if len(data) < 16:
        raise ImageTruncated
    (directory,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    if directory + 2 > len(data):
        raise ImageTruncated("The TIFF file is truncated: its directory is missing.")
    return CheckedFile(data)


def _check_bmp(data: bytes, _limits: DecodeLimits) -> CheckedFile:
    offset = int.from_bytes(data[10:14], "little")
    if offset >= len(data):
        raise ImageTruncated("The BMP file is truncated before its pixels.")
    return CheckedFile(data)


_CHECKS: dict[ImageFormat, Callable[[bytes, DecodeLimits], CheckedFile]] = {
    "JPEG": check_jpeg,
    "PNG": check_png,
    "WebP": check_webp,
    "BMP": _check_bmp,
    "TIFF": _check_tiff,
    "GIF": check_gif,
    "AVIF": _check_avif,
    "HEIC": _check_heic,
}

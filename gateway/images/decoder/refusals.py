"""Turns whatever a decoder raises into a refusal that its sender understands."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeVar

from gateway.images.decoder.forms import name_unread_form
from gateway.images.formats import ImageFormat
from shared.errors import ImageDecodeFailed, ImageError, ImageTruncated, UnsupportedImageFormat

#: Errors of Python, whose words say nothing to a sender.
_PYTHON_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    UnicodeError,
    struct.error,
)

T = TypeVar("T")


def with_image_errors(fmt: ImageFormat, data: bytes, work: Callable[[], T]) -> T:
    """Run `work`, whose exceptions become ImageErrors, but for MemoryError.

    Valid forms that are not read become UnsupportedImageFormat.
    """
    try:
        return work()
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        if form := name_unread_form(fmt, data):
            raise UnsupportedImageFormat(
                f"The file is a {fmt} with {form}, which is not supported."
            ) from error
        raise _image_error(error) from error


def _image_error(error: Exception) -> ImageError:
    # Pillow hands the words of some of them on as its own
    if isinstance(error, _PYTHON_ERRORS) or isinstance(error.__cause__, _PYTHON_ERRORS):
        return ImageDecodeFailed("Image decode failed: its structure is broken.")
    text = " ".join(str(error).split())[:160]
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return ImageTruncated(f"The image file is truncated: {text or 'its end is missing'}.")
    if not text or text.startswith(("decoder error", "encoder error", "[")):
        text = "its pixel data are broken"
    return ImageDecodeFailed(f"Image decode failed: {text}.")

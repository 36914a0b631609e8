"""A canonical image as the gateway and the workers hand it to the image store."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image as the service keeps it: upright, opaque, 8-bit sRGB, without metadata."""

    #: `img_` + SHA-256 over `{width}x{height}\n` and the raw RGB bytes.
    id: str
    png: bytes
    #: Pixels of the kept image.
    width: int
    height: int
    #: Pixels of the file, seen upright: width, height.
    source: tuple[int, int]
    format: str
    #: Notices of what was done to the file, as `{"code": …, "detail": …}`.
    notices: tuple[dict[str, str], ...] = ()


def stored_file_mark(tenant: str, file_id: str) -> str:
    """Return the mark of a stored image or document, by which what was computed from it is known.

    It names neither tenant nor content. The store makes the same of a file that is erased.
    """
    digest = file_id.removeprefix("img_").removeprefix("doc_")
    # Redis' scripts can compute no other hash; nothing is proven by it
    return hashlib.sha1(f"{tenant}:{digest}".encode(), usedforsecurity=False).hexdigest()

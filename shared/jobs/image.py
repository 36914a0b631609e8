"""A canonical image as the gateway and the workers hand it to the image store."""

from __future__ import annotations

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

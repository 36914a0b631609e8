"""Image sources (paths, URLs, ids, bytes, files, Pillow images) and how each is sent."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

_TEXT = re.compile(r"https?://|data:|(img|doc)_[0-9a-f]{64}$", re.IGNORECASE)


@runtime_checkable
class SupportsSave(Protocol):
    """A Pillow image, or an object with the same `save`."""

    def save(self, fp: Any, format: str) -> Any:  # noqa: A002
        """Write the image."""


#: A path, an http(s) URL, a data: URI, the id of an uploaded image or document, bytes, an open
#: binary file, or a Pillow image.
ImageSource = str | os.PathLike[str] | bytes | BinaryIO | SupportsSave
ImageSources = ImageSource | Sequence[ImageSource]


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """An image ready to send: a file name and bytes, or a text that refers to it."""

    name: str = ""
    data: bytes = b""
    text: str = ""

    def as_text(self) -> str:
        """Return its text, or its bytes as a data: URI."""
        return self.text or "data:;base64," + base64.b64encode(self.data).decode()


def as_list(images: ImageSources) -> list[ImageSource]:
    """Return one or several images as a list."""
    if isinstance(images, Sequence) and not isinstance(images, (str, bytes)):
        return list(images)
    return [images]


def load(source: ImageSource) -> LoadedImage:
    """Return an image ready to be sent; raises OSError for a file that cannot be read."""
    if isinstance(source, str) and _TEXT.match(source):
        return LoadedImage(text=source)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return LoadedImage(path.name, path.read_bytes())
    if isinstance(source, (bytes, bytearray, memoryview)):
        return LoadedImage("image", bytes(source))
    if isinstance(source, SupportsSave):
        out = io.BytesIO()
        source.save(out, format="PNG")
        return LoadedImage("image.png", out.getvalue())
    return LoadedImage(Path(str(getattr(source, "name", "image"))).name, source.read())

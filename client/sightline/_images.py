"""From whatever stands for an image to what is sent."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

_TEXT = re.compile(r"https?://|data:|img_[0-9a-f]{64}$", re.IGNORECASE)


@runtime_checkable
class SupportsSave(Protocol):
    """A Pillow image, or what saves like one."""

    def save(self, fp: Any, format: str) -> Any:  # noqa: A002
        """Write the image."""


#: A path, an http(s) URL, a data: URI, the id of an uploaded image, bytes, an open binary file,
#: or a Pillow image.
ImageSource = str | os.PathLike[str] | bytes | BinaryIO | SupportsSave
ImageSources = ImageSource | Sequence[ImageSource]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as it is sent: a file's name and bytes, or a text that names it."""

    name: str = ""
    data: bytes = b""
    text: str = ""

    def as_text(self) -> str:
        """Return what stands for it in JSON."""
        return self.text or "data:;base64," + base64.b64encode(self.data).decode()


def as_list(images: ImageSources) -> list[ImageSource]:
    """Return the images of one or several."""
    if isinstance(images, Sequence) and not isinstance(images, (str, bytes)):
        return list(images)
    return [images]


def load(source: ImageSource) -> Picture:
    """Return an image ready to be sent; raises OSError for a file that cannot be read."""
    if isinstance(source, str) and _TEXT.match(source):
        return Picture(text=source)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return Picture(path.name, path.read_bytes())
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Picture("image", bytes(source))
    if isinstance(source, SupportsSave):
        out = io.BytesIO()
        source.save(out, format="PNG")
        return Picture("image.png", out.getvalue())
    return Picture(Path(str(getattr(source, "name", "image"))).name, source.read())

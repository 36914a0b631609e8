"""A stored picture as files embed it: word for word, or as a JPEG where that is smaller."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageChops

#: Of a JPEG, without reduced colours: letters stay sharp.
_QUALITY = 90
#: What a JPEG can hold.
_MAX_JPEG_SIDE = 65_500


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of a picture, 8 bits a channel."""

    data: bytes
    kind: Literal["png", "jpeg"]
    width: int
    height: int
    is_gray: bool = False


def smallest_picture(png: bytes) -> Picture:
    """Return the smaller of a PNG, as the service stores it, and a JPEG of it."""
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        width, height = image.size
        if max(image.size) > _MAX_JPEG_SIDE:
            return Picture(png, "png", width, height)
        is_gray = _is_gray(image)
        out = io.BytesIO()
        plain = image.convert("L") if is_gray else image
        plain.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    if len(png) <= out.tell():
        return Picture(png, "png", width, height)
    return Picture(out.getvalue(), "jpeg", width, height, is_gray)


def _is_gray(image: Image.Image) -> bool:
    red, green, blue = image.split()
    pairs = ((red, green), (green, blue))
    return all(ImageChops.difference(*pair).getbbox() is None for pair in pairs)

"""Turns a frame as its file stores it into 8-bit sRGB on an opaque ground."""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageFile

from shared.pixels.colours import convert_profile
from shared.pixels.samples import add_alpha, scale_samples
from shared.pixels.transparency import flatten

_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_SIMPLE_MODES = frozenset(("L", "RGB", "RGBA", "LA", "CMYK", "P", "PA", "1", "RGBX"))

Notices = list[tuple[str, str]]


def to_rgb(file: ImageFile.ImageFile) -> tuple[Image.Image, Notices]:
    """Return the current frame in RGB, and (code, detail) of what was done to it."""
    file.load()
    notices: Notices = []
    info = dict(file.info)
    image = _to_eight_bits(file, notices)
    if image.mode in ("RGBA", "LA"):
        image, ground = flatten(image)
        if ground:
            notices.append(("image_flattened", f"Transparency was replaced by {ground}."))
    return _to_srgb(image, info, notices), notices


def _to_eight_bits(image: Image.Image, notices: Notices) -> Image.Image:
    """Return a frame in a mode of 8 bits, its transparency as a channel."""
    mode = image.mode
    if mode == "F" or mode.startswith("I"):
        tags: Any = getattr(image, "tag_v2", {})
        scaled, depth = scale_samples(image, white_is_zero=tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO)
        notices.append(("image_converted", f"Samples scaled from {depth} to 8 bits."))
        return scaled
    if mode not in _SIMPLE_MODES:
        return image.convert("RGB")
    if mode == "PA" or (mode != "CMYK" and "transparency" in image.info):
        return image if mode in ("RGBA", "LA") else add_alpha(image)
    if mode == "1":
        return image.convert("L")
    return image.convert("RGB") if mode in ("P", "RGBX") else image.copy()


def _to_srgb(image: Image.Image, info: dict[Any, Any], notices: Notices) -> Image.Image:
    profile = info.get("icc_profile")
    if isinstance(profile, bytes) and profile:
        image, converted = convert_profile(image, profile)
        notices += converted
        return image
    return image.convert("RGB")

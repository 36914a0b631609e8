"""Lays transparent pictures on a ground on which their ink can be seen."""

from __future__ import annotations

import numpy as np
from PIL import Image

#: Luminance from which ink cannot be told from white, 0 to 255.
_LIGHT = 176
#: The part of the ink that must be light for a dark ground.
_MOST_LIGHT = 0.75


def flatten(image: Image.Image) -> tuple[Image.Image, str | None]:
    """Return an LA or RGBA picture without its alpha channel, and the colour it was laid on."""
    alpha = image.getchannel("A")
    opaque = image.convert(image.mode[:-1])
    if alpha.getextrema() == (255, 255):
        return opaque, None
    ground = "black" if _has_light_ink(opaque, alpha) else "white"
    background = Image.new(opaque.mode, image.size, ground)
    background.paste(opaque, mask=alpha)
    return background, ground


def clear_outside(image: Image.Image, covered: tuple[int, int, int, int]) -> Image.Image:
    """Return the picture as RGBA, transparent outside of `covered`: left, top, right, bottom."""
    clear = Image.new("RGBA", image.size, (0, 0, 0, 0))
    clear.paste(image.convert("RGBA").crop(covered), covered[:2])
    return clear


def _has_light_ink(opaque: Image.Image, alpha: Image.Image) -> bool:
    weights = np.bincount(
        np.asarray(opaque.convert("L")).ravel(), np.asarray(alpha).ravel(), minlength=256
    )
    return bool(weights[_LIGHT:].sum() > _MOST_LIGHT * weights.sum())

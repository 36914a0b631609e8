"""Converts samples of more than 8 bits, and transparent colours, to what resizes well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def depth_name(mode: str) -> str:
    """Return how deep the samples of a Pillow mode of more than 8 bits are, in words."""
    return {"F": "floating point", "I": "32 bits"}.get(mode, "16 bits")


def add_alpha(image: Image.Image) -> Image.Image:
    """Return the image with its transparent colour as an alpha channel: LA or RGBA."""
    value = image.info.get("transparency")
    if isinstance(value, tuple) and max(value) > 255:
        image.info["transparency"] = tuple(v >> 8 for v in value)
    return image.convert("LA" if image.mode == "L" else "RGBA")


def scale_samples(image: Image.Image) -> Image.Image:
    """Return an image of 16 or 32 bits or floats in 8 bits: L, or LA if it has transparency."""
    samples = np.array(image)
    if image.mode.startswith("I;16"):
        grey = Image.fromarray((samples >> 8).astype(np.uint8))
        clear = image.info.get("transparency")
        if isinstance(clear, int):
            alpha = np.where(samples == clear, np.uint8(0), np.uint8(255))
            return Image.merge("LA", (grey, Image.fromarray(alpha)))
        return grey
    return Image.fromarray(_stretch_samples(samples.astype(np.float32, copy=False)))


def _stretch_samples(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scale from 0..1, 0..255 or 0..65535 if the samples fill one of these, else end to end."""
    finite = np.isfinite(samples)
    samples[~finite] = 0
    low = float(samples.min(where=finite, initial=np.inf))
    high = float(samples.max(where=finite, initial=-np.inf))
    for top in (1.0, 255.0, 65535.0):
        if top / 4 < high <= 1.1 * top and low >= -0.1 * top:
            low, high = 0.0, top
    if high > low:
        samples -= low
        samples *= 255 / (high - low)
    return np.clip(samples, 0, 255, out=samples).round(out=samples).astype(np.uint8)

"""Converts samples of more than 8 bits, and transparent colours, to what resizes well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Bits of the samples that cameras and scanners write into 16 bits.
_DEPTHS = (8, 10, 12, 14)


def add_alpha(image: Image.Image) -> Image.Image:
    """Return the image with its transparent colour as an alpha channel: LA or RGBA."""
    value = image.info.get("transparency")
    if isinstance(value, tuple) and max(value) > 255:
        image.info["transparency"] = tuple(v >> 8 for v in value)
    return image.convert("LA" if image.mode == "L" else "RGBA")


def scale_samples(image: Image.Image, *, white_is_zero: bool = False) -> tuple[Image.Image, str]:
    """Return an image of 16 or 32 bits or floats in 8 bits, and how deep it was, in words.

    Its mode is L, or LA if it has transparency.
    """
    samples = np.array(image)
    if not image.mode.startswith("I;16"):
        depth = "floating point" if image.mode == "F" else "32 bits"
        return Image.fromarray(_stretch_samples(samples.astype(np.float32, copy=False))), depth
    grey, bits = _scale_words(samples)
    scaled = Image.fromarray(255 - grey if white_is_zero else grey)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        alpha = np.where(samples == clear, np.uint8(0), np.uint8(255))
        scaled = Image.merge("LA", (scaled, Image.fromarray(alpha)))
    return scaled, f"{bits} bits"


def _scale_words(samples: NDArray[np.uint16]) -> tuple[NDArray[np.uint8], int]:
    """Return 16-bit samples in 8 bits, and the bits that they really use."""
    highest = int(samples.max(initial=0))
    bits = next((depth for depth in _DEPTHS if highest < 1 << depth), 16)
    if bits == 8:
        # too few levels to be told from a dark picture; as bytes it is seen either way
        return samples.astype(np.uint8), 16
    return (samples >> (bits - 8)).astype(np.uint8), bits


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

"""The size and visual tokens of an image in the model, the same for gateway and engine."""

from __future__ import annotations

import math
from typing import NamedTuple

#: Longer side over shorter side beyond which Qwen-VL refuses an image.
MAX_ASPECT = 200.0
#: Pixels of a side that one visual token covers in Qwen3-VL: patches of 16, two by two.
TOKEN_SIDE = 32


class VisualSize(NamedTuple):
    """An image as the model sees it: its size in pixels and its visual tokens."""

    width: int
    height: int
    tokens: int


def visual_tokens(
    width: int, height: int, max_pixels: int, *, min_pixels: int = 4096, factor: int = TOKEN_SIDE
) -> VisualSize:
    """Return the size that an image of `width` x `height` pixels is scaled to, and its tokens.

    Both sides become multiples of `factor` (patch size times merge size) and their product falls
    between `min_pixels` and `max_pixels`, as Qwen2-VL's image processor does it. Raises ValueError
    when one side is more than MAX_ASPECT times the other.
    """
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ValueError(f"aspect ratio of {width}x{height} is above {MAX_ASPECT:g}")
    used_w, used_h = (round(side / factor) * factor for side in (width, height))
    if used_w * used_h > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        used_w, used_h = (
            max(factor, math.floor(side / shrink / factor) * factor) for side in (width, height)
        )
    elif used_w * used_h < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        used_w, used_h = (math.ceil(side * grow / factor) * factor for side in (width, height))
    return VisualSize(used_w, used_h, (used_w // factor) * (used_h // factor))

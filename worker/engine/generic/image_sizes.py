"""Measures how many visual tokens a processor makes of images, as the gateway predicts them.

The gateway knows one formula: a token for each square of so many pixels, between two bounds. Other
processors cut images into parts or scale all of them to one size; the formula is fitted to what
they make of four squares, so that predictions come near. The worker counts exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image

from shared.errors import ServiceError
from worker.engine.api import ImageInput, Message
from worker.engine.generic.conversation import ConversationReader

#: Sides of the squares that are tried out.
_SIDES = (64, 256, 512, 1024)


@dataclass(frozen=True, slots=True)
class ImageSizes:
    """The gateway's formula for one processor, and what its images take."""

    min_pixels: int
    max_pixels: int
    #: Pixels of a side that one visual token covers.
    token_side: int
    #: Bytes of the tensors of an image for each of its visual tokens.
    input_bytes: int
    #: Numbers in those tensors for each of its visual tokens.
    input_values: int


def measure_sizes(conversations: ConversationReader) -> ImageSizes:
    """Try out the squares; raises ValueError if the processor reads none of them."""
    tokens, input_bytes, input_values = {}, 0, 0
    for side in _SIDES:
        source = ImageInput("img_trial", Image.new("RGB", (side, side), "grey"), side * side)
        try:
            inputs = conversations.read([Message("user", "Look", (source,))])
        except ServiceError as error:
            raise ValueError(error.detail) from error
        if not inputs.image_tokens:
            raise ValueError("the processor makes no visual tokens of an image")
        tokens[side] = inputs.image_tokens
        pixels = [tensor for tensor in inputs.tensors.values() if tensor.is_floating_point()]
        input_bytes = max(input_bytes, sum(p.nbytes for p in pixels) // inputs.image_tokens + 1)
        input_values = max(input_values, sum(p.numel() for p in pixels) // inputs.image_tokens + 1)
    return _fit(tokens, input_bytes, input_values)


def _fit(tokens: dict[int, int], input_bytes: int, input_values: int) -> ImageSizes:
    least, most = min(tokens.values()), max(tokens.values())
    side = max(1, round(_SIDES[-1] / math.sqrt(tokens[_SIDES[-1]])))
    # where larger images have more tokens, those beyond the largest that was tried have more still
    grows = tokens[_SIDES[-1]] > tokens[_SIDES[-2]]
    top = max(most * side * side, 16_777_216) if grows else most * side * side
    return ImageSizes(
        min_pixels=least * side * side,
        max_pixels=top,
        token_side=side,
        input_bytes=input_bytes,
        input_values=input_values,
    )

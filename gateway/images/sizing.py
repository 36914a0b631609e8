"""What the model will see of an image, told from its size before any work is done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gateway.images.decoder.decoder import MeasuredImage
from shared.errors import ImageAspect, InputTooLarge, InputTooLong
from shared.jobs import Tiling
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.tile_plan import planned_tiles
from shared.prediction.visual_tokens import TOKEN_SIDE, visual_tokens
from shared.store.image_store import ImageHeader, StoredImage

#: A stored image, one that is stored together with its job, or one that is only measured.
AnyImage = ImageHeader | StoredImage | MeasuredImage


def image_info(
    image: AnyImage,
    max_pixels: int,
    workers: Sequence[Heartbeat],
    tiling: Tiling | None = None,
) -> dict[str, Any]:
    """Return what a job tells of an image: sizes and visual tokens under a pixel budget.

    The model's own bounds count as well, as soon as a worker has told them. Raises ImageAspect.
    """
    tiles = planned_tiles(image.width, image.height, tiling.budget) if tiling else 1
    # the finest count is never too low
    side = min((worker.token_side for worker in workers), default=TOKEN_SIDE)
    if tiles > 1:
        return _tiled_info(image, tiles, side)
    least = max((worker.min_pixels for worker in workers), default=4096)
    most = min((worker.max_pixels for worker in workers), default=max_pixels)
    try:
        used = visual_tokens(
            image.width, image.height, min(max_pixels, most), min_pixels=least, factor=side
        )
    except ValueError as error:
        raise ImageAspect(str(error)) from None
    return {
        "id": image.id,
        "width": image.source[0],
        "height": image.source[1],
        "used": [used.width, used.height],
        "tokens": used.tokens,
    }


def _tiled_info(image: AnyImage, tiles: int, side: int) -> dict[str, Any]:
    """Return what is told of an image that is cut: all of its pixels are looked at."""
    tokens = math.ceil(image.width / side) * math.ceil(image.height / side)
    return {
        "id": image.id,
        "width": image.source[0],
        "height": image.source[1],
        "used": [image.width, image.height],
        "tokens": tokens,
        "tiles": tiles,
    }


def check_fit(infos: Sequence[dict[str, Any]], workers: Sequence[Heartbeat]) -> None:
    """Refuse now what no worker could take in later: images alone may fill context or memory.

    Raises InputTooLong and InputTooLarge.
    """
    window = max((worker.context_tokens for worker in workers), default=0)
    images = [info["tokens"] for info in infos]
    tokens = sum(images)
    if window and tokens >= window:
        raise InputTooLong(
            f"Input too long: the images have {tokens} tokens; the model accepts {window}.",
            pointer="/images",
        )
    rooms = [worker.image_room for worker in workers]
    if rooms and not any(room.holds(images) for room in rooms):
        largest = max(rooms, key=lambda room: room.bytes)
        raise InputTooLarge(largest.refusal(images), pointer="/images")


def notices(images: Sequence[AnyImage], infos: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Return what was and will be done to the images."""
    told: list[dict[str, str]] = []
    for image, info in zip(images, infos, strict=True):
        told += image.notices
        used = info["used"]
        if "tiles" in info:
            detail = f"{image.width}x{image.height} → about {info['tiles']} tiles"
            told.append({"code": "image_tiled", "detail": detail})
        scale = used[0] * used[1] / (image.width * image.height)
        if not 0.9 <= scale <= 1.1:
            detail = f"{image.width}x{image.height} → {used[0]}x{used[1]}"
            code = "image_resized" if scale < 1 else "image_enlarged"
            told.append({"code": code, "detail": detail})
    return told

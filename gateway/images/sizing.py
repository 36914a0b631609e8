"""How an image will look to the model, computed from its size: pixels, visual tokens, tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from gateway.images.decoder.decoder import MeasuredImage
from shared.errors import ImageAspect, InputTooLarge, InputTooLong
from shared.jobs import ImageInfo, Tiling
from shared.jobs.image import StoredImage
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.tile_plan import planned_tiles
from shared.prediction.visual_tokens import TOKEN_SIDE, visual_tokens
from shared.store.uploads.image_store import ImageHeader

#: A stored image, one that is stored together with its job, or one that is only measured.
AnyImage = ImageHeader | StoredImage | MeasuredImage


def image_info(
    image: AnyImage,
    max_pixels: int,
    workers: Sequence[Heartbeat],
    tiling: Tiling | None = None,
) -> ImageInfo:
    """Return the sizes and visual tokens of an image under a budget of `max_pixels`.

    The model's own bounds count as well, once a worker has reported them. Raises ImageAspect.
    """
    tiles = planned_tiles(image.width, image.height, tiling.budget) if tiling else 1
    # the smallest side counts the most tokens, which is never too few
    side = min((worker.token_side for worker in workers), default=TOKEN_SIDE)
    if tiles > 1:
        return _tiled_info(image, tiles, side)
    min_pixels = max((worker.min_pixels for worker in workers), default=4096)
    most_pixels = min((worker.max_pixels for worker in workers), default=max_pixels)
    try:
        used = visual_tokens(
            image.width,
            image.height,
            min(max_pixels, most_pixels),
            min_pixels=min_pixels,
            factor=side,
        )
    except ValueError as error:
        raise ImageAspect(str(error)) from None
    if all(worker.knows_sizes for worker in workers):
        return _info(image, (used.width, used.height), used.tokens)
    return _info(image, _budgeted(image, max_pixels), used.tokens)


def _budgeted(image: AnyImage, max_pixels: int) -> tuple[int, int]:
    """Return the size within a budget; the model's processor scales the image on from there."""
    scale = min(1.0, math.sqrt(max_pixels / (image.width * image.height)))
    return max(1, math.floor(image.width * scale)), max(1, math.floor(image.height * scale))


def reading_info(image: AnyImage, tiling: Tiling | None = None) -> ImageInfo:
    """Return the info of an image that only the second reader sees, as it is stored."""
    tiles = planned_tiles(image.width, image.height, tiling.budget) if tiling else 1
    return _info(image, (image.width, image.height), 0, tiles)


def _tiled_info(image: AnyImage, tiles: int, side: int) -> ImageInfo:
    """Return the info of an image that is cut: the model sees all of its pixels."""
    tokens = math.ceil(image.width / side) * math.ceil(image.height / side)
    return _info(image, (image.width, image.height), tokens, tiles)


def _info(image: AnyImage, used: tuple[int, int], tokens: int, tiles: int = 1) -> ImageInfo:
    width, height = image.source
    return ImageInfo(id=image.id, width=width, height=height, used=used, tokens=tokens, tiles=tiles)


def check_fit(infos: Sequence[ImageInfo], workers: Sequence[Heartbeat]) -> None:
    """Refuse images that fill the context or the memory of every worker by themselves.

    Raises InputTooLong and InputTooLarge.
    """
    window = max((worker.context_tokens for worker in workers), default=0)
    image_tokens = [info.tokens for info in infos]
    tokens = sum(image_tokens)
    if window and tokens >= window:
        raise InputTooLong(
            f"Input too long: the images have {tokens} tokens; the model accepts {window}.",
            pointer="/images",
        )
    rooms = [worker.image_room for worker in workers]
    if rooms and not any(room.holds(image_tokens) for room in rooms):
        largest = max(rooms, key=lambda room: room.bytes)
        raise InputTooLarge(largest.refusal(image_tokens), pointer="/images")


def image_notices(images: Sequence[AnyImage], infos: Sequence[ImageInfo]) -> list[dict[str, str]]:
    """Return what was and will be done to each image, as `{"code": …, "detail": …}`."""
    notices: list[dict[str, str]] = []
    for image, info in zip(images, infos, strict=True):
        notices += [*image.notices, *_planned_notices(image, info)]
    return notices


def _planned_notices(image: AnyImage, info: ImageInfo) -> Iterator[dict[str, str]]:
    size = f"{image.width}x{image.height}"
    if info.tiles > 1:
        yield {"code": "image_tiled", "detail": f"{size} → about {info.tiles} tiles"}
    width, height = info.used
    scale = width * height / (image.width * image.height)
    if not 0.9 <= scale <= 1.1:
        code = "image_resized" if scale < 1 else "image_enlarged"
        yield {"code": code, "detail": f"{size} → {width}x{height}"}

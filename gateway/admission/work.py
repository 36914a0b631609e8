"""The work that a job means for one worker, from the sizes of its images."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shared.jobs import ImageInfo, Reader
from shared.prediction.cost_model import READING_UNIT, Work


def estimate_work(
    images: Sequence[ImageInfo],
    *,
    prompt_tokens: int,
    answer_tokens: float,
    reads: bool,
    reader: Reader = "model",
    apart: bool = False,
) -> Work:
    """Return the work of a job; of long images that of all tiles, which the workers share.

    `reads`: each tile, or each of several images, is answered by itself. `apart`: so is each page
    of a document.
    """
    tiles = sum(image.tiles for image in images)
    answers_apart = apart or (reads and tiles > 1)
    parts = tiles if answers_apart or tiles > len(images) else 0
    if reader == "second":
        return Work(readings=_readings(images), parts=parts, answers_apart=bool(parts))
    if apart and not tiles:
        # the document brings its text along
        return Work()
    answers = parts if answers_apart else 1
    return Work(
        images=tile_tokens(images),
        prompt_tokens=answers * prompt_tokens,
        answer_tokens=answers * answer_tokens,
        readings=_readings(images) if reader == "both" else (),
        parts=parts,
        answers_apart=answers_apart,
    )


def tile_tokens(images: Sequence[ImageInfo]) -> tuple[int, ...]:
    """Return the visual tokens of each image, and of each tile of those that are cut."""
    return tuple(
        math.ceil(image.tokens / image.tiles) for image in images for _ in range(image.tiles)
    )


def _readings(images: Sequence[ImageInfo]) -> tuple[float, ...]:
    """Return the size of each reading, in units of the second reader."""
    return tuple(
        image.width * image.height / READING_UNIT / image.tiles
        for image in images
        for _ in range(image.tiles)
    )

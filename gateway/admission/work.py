"""The work that a job means for one worker, from the sizes of its images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from shared.jobs import ImageInfo, Reader
from shared.prediction.cost_model import READING_UNIT, Work
from shared.prediction.heartbeat import Heartbeat


def estimate_work(
    images: Sequence[ImageInfo],
    *,
    prompt_tokens: int,
    answer_tokens: float,
    reads: bool,
    workers: Sequence[Heartbeat],
    reader: Reader = "model",
    apart: bool = False,
) -> Work:
    """Return the work of a job for one worker: of long images, its share of the tiles.

    `reads`: each tile is answered by itself, as many at once as the worker has slots for tiles.
    `apart`: so is each image, since it is a page of a document.
    """
    if reader == "second":
        return Work(readings=_readings(images, workers))
    work = _model_work(images, prompt_tokens, answer_tokens, workers, reads=reads, apart=apart)
    return replace(work, readings=_readings(images, workers)) if reader == "both" else work


def _readings(images: Sequence[ImageInfo], workers: Sequence[Heartbeat]) -> tuple[float, ...]:
    """Return the size of each reading of one worker; tiles are shared by those with a reader."""
    able = sum(1 for worker in workers if worker.reader and not worker.draining)
    return tuple(
        image.width * image.height / READING_UNIT / min(image.tiles, max(1, able))
        for image in images
    )


def _model_work(
    images: Sequence[ImageInfo],
    prompt_tokens: int,
    answer_tokens: float,
    workers: Sequence[Heartbeat],
    *,
    reads: bool,
    apart: bool,
) -> Work:
    tiles = sum(image.tiles for image in images)
    if apart and not tiles:
        # the document brings its text along
        return Work()
    if tiles == len(images) and not apart:
        return Work(tuple(image.tokens for image in images), prompt_tokens, answer_tokens)
    accepting = [worker for worker in workers if not worker.draining]
    share = math.ceil(tiles / max(1, len(accepting)))
    tile_tokens = math.ceil(sum(image.tokens for image in images) / tiles)
    if not reads:
        return Work((tile_tokens,) * share, prompt_tokens, answer_tokens)
    slots = max((worker.slots - 1 for worker in accepting), default=1)
    rounds = math.ceil(share / max(1, slots))
    return Work((tile_tokens,) * share, share * prompt_tokens, rounds * answer_tokens)

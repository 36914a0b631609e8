"""The work that a job means for one worker, from the sizes of its images."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shared.jobs import ImageInfo
from shared.prediction.cost_model import Work
from shared.prediction.heartbeat import Heartbeat


def estimate_work(
    images: Sequence[ImageInfo],
    *,
    prompt_tokens: int,
    answer_tokens: float,
    reads: bool,
    workers: Sequence[Heartbeat],
) -> Work:
    """Return the work of a job for one worker: of long images, its share of the tiles.

    `reads`: each tile is answered by itself, as many at once as the worker has slots for tiles.
    """
    tiles = sum(image.tiles for image in images)
    if tiles == len(images):
        return Work(tuple(image.tokens for image in images), prompt_tokens, answer_tokens)
    accepting = [worker for worker in workers if not worker.draining]
    share = math.ceil(tiles / max(1, len(accepting)))
    tile_tokens = math.ceil(sum(image.tokens for image in images) / tiles)
    if not reads:
        return Work((tile_tokens,) * share, prompt_tokens, answer_tokens)
    slots = max((worker.slots - 1 for worker in accepting), default=1)
    rounds = math.ceil(share / max(1, slots))
    return Work((tile_tokens,) * share, share * prompt_tokens, rounds * answer_tokens)

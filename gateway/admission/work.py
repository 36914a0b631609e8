"""What a job asks of one worker, told from the sizes of its images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from shared.prediction.cost_model import Work
from shared.prediction.heartbeat import Heartbeat


def work_of(
    images: Sequence[Mapping[str, Any]],
    *,
    prompt_tokens: int,
    answer_tokens: float,
    reads: bool,
    workers: Sequence[Heartbeat],
) -> Work:
    """Return what a job asks of one worker: of long images, the tiles that fall to it."""
    tiles = sum(image.get("tiles", 1) for image in images)
    if tiles == len(images):
        return Work(tuple(image["tokens"] for image in images), prompt_tokens, answer_tokens)
    taking = [worker for worker in workers if not worker.draining]
    mine = math.ceil(tiles / max(1, len(taking)))
    tokens = math.ceil(sum(image["tokens"] for image in images) / tiles)
    if not reads:
        return Work((tokens,) * mine, prompt_tokens, answer_tokens)
    slots = max((worker.slots - 1 for worker in taking), default=1)
    rounds = math.ceil(mine / max(1, slots))
    return Work((tokens,) * mine, mine * prompt_tokens, rounds * answer_tokens)

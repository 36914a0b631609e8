"""Which images are cut into tiles, and into about how many, from their sizes alone."""

from __future__ import annotations

import math

from shared.jobs import Tiling, TilingTask
from shared.prediction.proportions import MIN_SIDE, is_long
from shared.prediction.visual_tokens import MAX_ASPECT

#: An image of more than so many pixel budgets is cut without a request for it.
CUT_FROM = 1.5
#: Pixels of a tile that only the second reader reads: its time and memory grow with them.
READING_PIXELS = 4_194_304
#: Mean share of its budget that a tile fills, as cuts fall into gaps before it is full.
_FILL = 0.92
#: Largest longer side over shorter side of a tile; tiles up to _SHORT pixels may be slimmer.
_SLIM = 16
_SHORT = 1024


def planned_tiles(width: int, height: int, budget: int) -> int:
    """Estimate how many tiles of `budget` pixels an image of this size will have."""
    if min(width, height) < MIN_SIDE:
        return 1
    longer, shorter = max(width, height), min(width, height)
    longest = max(_SLIM * shorter, min(_SHORT, round(0.75 * MAX_ASPECT) * shorter))
    if width * height <= budget and longer <= longest:
        return 1
    return max(2, math.ceil(width * height / (_FILL * budget)), math.ceil(longer / longest))


def tiling_for(
    width: int,
    height: int,
    budget: int,
    *,
    task: TilingTask | None,
    reads: bool = False,
    single_pass: bool = False,
    strict: bool = False,
) -> Tiling | None:
    """Return how an image is cut, or None if the model looks at it as a whole.

    With a `task` every image beyond the budget is cut. Without one: for a prompt that `reads`,
    each image that would lose detail; for any other prompt only a long one; with `single_pass`
    only an image that cannot be looked at as a whole.
    """
    planned = planned_tiles(width, height, budget)
    if planned == 1:
        return None
    cut = task is not None
    if task is None:
        task = TilingTask.READ if reads else TilingTask.ASK
        too_slim = max(width, height) > MAX_ASPECT * min(width, height)
        cut = too_slim or (
            not single_pass
            and width * height > CUT_FROM * budget
            and (reads or is_long(width, height))
        )
    if not cut:
        return None
    return Tiling(task=task, budget=budget, planned=planned, strict=strict)

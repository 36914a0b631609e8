"""Into how many tiles an image will be cut, told from its size alone, and which jobs are cut."""

from __future__ import annotations

import math

from shared.jobs import Tiling, TilingTask
from shared.prediction.visual_tokens import MAX_ASPECT

#: Pixel budgets from which on an image is cut without being asked for.
_CUT_FROM = 1.5
#: Longer side over shorter side from which on an image counts as long, whatever is asked of it.
LONG_ASPECT = 3.0
#: Share of its budget that a tile fills on average, as cuts look for gaps before it is full.
_FILL = 0.92
#: Longer side over shorter side that a tile may have; short ones may be slimmer.
_SLIM = 16
_SHORT = 1024
#: Narrower images have no room for a letter.
MIN_SIDE = 8


def planned_tiles(width: int, height: int, budget: int) -> int:
    """Return about how many tiles of `budget` pixels an image of this size will have."""
    if min(width, height) < MIN_SIDE:
        return 1
    longer, shorter = max(width, height), min(width, height)
    longest = max(_SLIM * shorter, min(_SHORT, round(0.75 * MAX_ASPECT) * shorter))
    if width * height <= budget and longer <= longest:
        return 1
    return max(2, math.ceil(width * height / (_FILL * budget)), math.ceil(longer / longest))


def is_long(width: int, height: int) -> bool:
    """Tell whether an image is long for its width, or wide for its height."""
    return max(width, height) >= LONG_ASPECT * min(width, height)


def tiling_for(
    width: int,
    height: int,
    budget: int,
    *,
    task: TilingTask | None,
    reads: bool = False,
    one_look: bool = False,
    strict: bool = False,
) -> Tiling | None:
    """Return how a job's image is cut, or None when it is looked at as a whole.

    With a `task` every image beyond the budget is cut. Without one: for a question that `reads`,
    each image that would lose detail, and for any other only a long one; with `one_look` only
    what cannot be looked at as a whole.
    """
    planned = planned_tiles(width, height, budget)
    if planned == 1:
        return None
    asked = task is not None
    if task is None:
        task = TilingTask.READ if reads else TilingTask.ASK
        too_slim = max(width, height) > MAX_ASPECT * min(width, height)
        asked = too_slim or (
            not one_look
            and width * height > _CUT_FROM * budget
            and (reads or is_long(width, height))
        )
    if not asked:
        return None
    return Tiling(task=task, budget=budget, planned=planned, strict=strict)

"""Whether a job's images are cut into tiles, told from their sizes and from what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.submission.request import Submission
from gateway.submission.resolve import ResolvedRequest
from shared.errors import BadParameters
from shared.jobs import Tiling, TilingTask
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.tile_plan import planned_tiles, tiling_for


class SizedImage(Protocol):
    """An image whose size is known."""

    @property
    def width(self) -> int:
        """Pixels across, as it is stored."""

    @property
    def height(self) -> int:
        """Pixels down, as it is stored."""


def keeps_detail(submission: Submission, asked: ResolvedRequest) -> bool:
    """Tell whether uploads are stored with all the detail that tiles could show."""
    if submission.tiling == "auto":
        return asked.reads and not submission.names_budget
    return submission.tiling != "off"


def tiling_of(
    submission: Submission,
    asked: ResolvedRequest,
    images: Sequence[SizedImage],
    workers: Sequence[Heartbeat],
) -> Tiling | None:
    """Return how a job's images are cut, or None where each is looked at as a whole.

    Beside a long image others are tiles of their own. Raises BadParameters.
    """
    if submission.tiling == "off":
        return None
    task = None if submission.tiling == "auto" else TilingTask(submission.tiling)
    if task is not None and not images:
        raise BadParameters(f"tiling={task} needs an image.", pointer="/tiling")
    if task is TilingTask.READ and asked.params.constrained_by:
        raise BadParameters(
            f"Texts that are joined cannot be held to {asked.params.constrained_by[0]}; "
            "use tiling=ask.",
            pointer="/tiling",
        )
    pixels = budget(submission.pixel_budget(), workers)
    found = [
        tiling_for(
            image.width,
            image.height,
            pixels,
            task=task,
            reads=asked.reads,
            single_pass=submission.names_budget,
            strict=submission.strict,
        )
        for image in images
    ]
    first = next((tiling for tiling in found if tiling), None)
    if first is None:
        return None
    planned = sum(planned_tiles(image.width, image.height, pixels) for image in images)
    return first.model_copy(update={"planned": planned})


def budget(pixels: int, workers: Sequence[Heartbeat]) -> int:
    """Return the pixels that a model takes of one tile."""
    return min([pixels, *(worker.max_pixels for worker in workers)])

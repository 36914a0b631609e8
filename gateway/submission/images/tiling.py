"""Whether a job's images are cut into tiles: by the request, its preset and their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.submission.resolve import ResolvedRequest
from shared.errors import BadParameters
from shared.jobs import Reader, Tiling, TilingTask
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.tile_plan import READING_PIXELS, planned_tiles, tiling_for


class SizedImage(Protocol):
    """An image whose size is known."""

    @property
    def width(self) -> int:
        """Pixels across, as it is stored."""

    @property
    def height(self) -> int:
        """Pixels down, as it is stored."""


def keeps_detail(resolved: ResolvedRequest) -> bool:
    """Tell whether uploads are stored with all the detail that tiles could show."""
    submission = resolved.submission
    if submission.tiling == "auto":
        return resolved.reads and not submission.names_budget
    return submission.tiling != "off"


def choose_tiling(
    resolved: ResolvedRequest,
    images: Sequence[SizedImage],
    workers: Sequence[Heartbeat],
    reader: Reader = "model",
) -> Tiling | None:
    """Return how a job's images are cut, or None where each is seen as a whole.

    Beside a long image, each other image is a tile of its own. Of several images whose text is
    asked for each is read by itself. Raises BadParameters.
    """
    submission = resolved.submission
    # what the second reader sees is not scaled to a budget
    second = reader == "second"
    pixels = READING_PIXELS if second else tile_budget(submission.pixel_budget(), workers)
    task = None if submission.tiling == "off" else _tiling_task(resolved, images)
    tiling = None
    if submission.tiling != "off":
        tiling = _cut_images(resolved, images, pixels, task, second=second)
    if tiling is None and len(images) > 1 and (resolved.reads or task is TilingTask.READ):
        return Tiling(
            task=TilingTask.READ,
            budget=pixels,
            planned=len(images),
            strict=submission.strict,
            whole=True,
        )
    return tiling


def _cut_images(
    resolved: ResolvedRequest,
    images: Sequence[SizedImage],
    pixels: int,
    task: TilingTask | None,
    *,
    second: bool,
) -> Tiling | None:
    """Return how images are cut of which at least one is to be; else None."""
    submission = resolved.submission
    tilings = [
        tiling_for(
            image.width,
            image.height,
            pixels,
            task=task,
            reads=(resolved.reads and resolved.find is None) or second,
            single_pass=submission.names_budget and not second,
            strict=submission.strict,
        )
        for image in images
    ]
    first = next((tiling for tiling in tilings if tiling), None)
    if first is None:
        return None
    planned = sum(planned_tiles(image.width, image.height, pixels) for image in images)
    # what is looked for is looked for in each part by itself
    task = TilingTask.READ if resolved.find else first.task
    return first.model_copy(update={"planned": planned, "task": task})


def _tiling_task(resolved: ResolvedRequest, images: Sequence[SizedImage]) -> TilingTask | None:
    """Return the task that the request names; raises BadParameters where it does not fit."""
    name, constraints = resolved.submission.tiling, resolved.params.constrained_by
    if name == "auto":
        return None
    task = TilingTask(name)
    if not images:
        raise BadParameters(f"tiling={task} needs an image.", pointer="/tiling")
    if task is TilingTask.READ and constraints:
        raise BadParameters(
            f"Joined texts cannot be constrained by {constraints[0]}; use tiling=ask.",
            pointer="/tiling",
        )
    return task


def tile_budget(pixels: int, workers: Sequence[Heartbeat]) -> int:
    """Return the pixels of one tile: `pixels`, or fewer if a model takes no more."""
    return min([pixels, *(worker.max_pixels for worker in workers)])

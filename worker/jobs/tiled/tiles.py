"""The steps of a long job beside the model: cut its images, and hand their tiles around."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from PIL import Image

from shared.errors import ImageGone
from shared.jobs import JobInput, Notice, TileInfo, TileOutcome, TilingTask, Turn
from shared.jobs.row import JobRow
from shared.prediction.tile_plan import MIN_SIDE
from shared.prediction.visual_tokens import visual_tokens
from shared.store import Claim, Doorbell
from shared.store.image_store import ImageStore, StoredImage
from shared.store.tile_store import NewTile, TileStore
from worker.engine.api import ModelInfo
from worker.jobs.tiled import prompts
from worker.jobs.tiled.outcomes import pieces, seen_of, taken_over
from worker.pipeline.images import open_png
from worker.tiling import Tile, can_be_told_live, cut, unread

#: Difference between darkest and lightest sample of a tile that shows nothing.
_BLANK = 12
_UNHELD: dict[str, Any] = {"choices": (), "regex": None, "response_format": None}
#: Tokens of a chat template and of what is said around a question.
_TEMPLATE_TOKENS = 64
#: Seconds that a tile's pixels live until its job is split and takes care of them.
_UNCLAIMED_S = 3600


@dataclass(frozen=True, slots=True)
class TiledJob:
    """A long job's tiles and the work on each."""

    tiles: tuple[TileInfo, ...]
    work: tuple[NewTile, ...]
    #: One prompt will look at all tiles, so that the work only makes their features.
    together: bool


class TileCutter:
    """Cuts, and takes in what comes back; what is asked of the engine goes through others."""

    def __init__(
        self, tiles: TileStore, images: ImageStore, info: ModelInfo, room: Callable[[], int]
    ) -> None:
        """`room` tells how many tiles all workers together may have at once."""
        self._tiles = tiles
        self._images = images
        self._info = info
        self._room = room

    @property
    def revision(self) -> str:
        """Return which weights this worker has loaded."""
        return self._info.revision

    def cut(self, row: JobRow) -> TiledJob | None:
        """Cut a job's images and store their tiles; None when they need no cut.

        Raises ImageGone, and InferenceFailed for a damaged image.
        """
        if row.input.tiling is None:
            return None
        infos = tuple(self._stored(row, row.input.tiling.budget))
        if len(infos) == len(row.input.images):
            return None
        together = row.input.tiling.task is TilingTask.ASK and self.fit_together(infos, row.input)
        inputs = self._work(row.input, infos, together=together)
        done = {} if together else self._taken_over(row)
        live = can_be_told_live([Tile(box=info.box, **info.seam) for info in infos])
        work = [
            NewTile(TileOutcome() if info.blank else done.get((info.id, info.box), job), speaks)
            for info, job, speaks in zip(infos, inputs, live, strict=True)
        ]
        return TiledJob(infos, tuple(work), together)

    def again(self, row: JobRow, turns: Sequence[Turn]) -> TiledJob | None:
        """Return the tiles of the image that a conversation is about, to be asked one by one.

        None when the question has images of its own, or when all tiles fit into one prompt.
        """
        shown = next((turn for turn in reversed(turns) if turn.images), None)
        if row.input.images or row.input.encode_only or shown is None or not shown.parts:
            return None
        looks = {"max_pixels": shown.max_pixels, "enhance": shown.enhance}
        job = row.input.model_copy(update=looks)
        if self.fit_together(shown.parts, job):
            return None
        inputs = self._work(job, shown.parts, together=False)
        work = [
            NewTile(TileOutcome() if info.blank else one)
            for info, one in zip(shown.parts, inputs, strict=True)
        ]
        return TiledJob(shown.parts, tuple(work), together=False)

    def fit_together(self, tiles: Sequence[TileInfo], job: JobInput) -> bool:
        """Tell whether one prompt has room for all tiles beside a job's question and answer."""
        budget = min(job.tiling.budget if job.tiling else job.max_pixels, self._info.max_pixels)
        least, side = self._info.min_pixels, self._info.token_side
        visual = [
            visual_tokens(*tile.size, budget, min_pixels=least, factor=side).tokens
            for tile in tiles
        ]
        # no tokenizer makes more tokens than bytes
        words = len(job.prompt.encode("utf-8", "replace")) + _TEMPLATE_TOKENS
        tokens = sum(visual) + words + job.params.max_new_tokens
        return tokens <= self._info.context_tokens and self._info.image_room.holds(visual)

    def _stored(self, row: JobRow, budget: int) -> Iterator[TileInfo]:
        """Store the pixels of each tile of each image."""
        order = 0
        for number, png in enumerate(self._images.pngs(row.tenant, row.input.images)):
            if png is None:
                raise ImageGone
            image = open_png(png)
            for part in self._parts(image, budget):
                tile = image.crop(part.box)
                yield self._keep(row.tenant, tile, replace(part, order=order, image=number))
                order += 1

    def _parts(self, image: Image.Image, budget: int) -> list[Tile]:
        if min(image.size) < MIN_SIDE:
            return [Tile(0, (0, 0, *image.size))]
        return cut(image, min(budget, self._info.max_pixels))

    def _keep(self, tenant: str, tile: Image.Image, part: Tile) -> TileInfo:
        digest = hashlib.sha256(f"{tile.width}x{tile.height}\n".encode())
        digest.update(tile.tobytes())
        out = io.BytesIO()
        tile.save(out, "PNG", compress_level=1)
        name = f"img_{digest.hexdigest()}"
        stored = StoredImage(name, out.getvalue(), *tile.size, tile.size, "PNG")
        self._images.put(tenant, stored, ttl_s=_UNCLAIMED_S)
        seam = asdict(part)
        return TileInfo(
            id=name, box=seam.pop("box"), mark=unread(part), blank=_is_blank(tile), seam=seam
        )

    def _work(
        self, job: JobInput, tiles: Sequence[TileInfo], *, together: bool
    ) -> Iterator[JobInput]:
        read = job.tiling is not None and job.tiling.task is TilingTask.READ
        for number, tile in enumerate(tiles, start=1):
            prompt = prompts.part_prompt(job.prompt, number, len(tiles))
            if read or together:
                prompt = job.prompt if read else ""
            yield JobInput(
                prompt=prompt,
                images=(tile.id,),
                # a part need not know the answer, so that it cannot be held to its form
                params=job.params if read else job.params.model_copy(update=_UNHELD),
                max_pixels=job.tiling.budget if job.tiling else job.max_pixels,
                encode_only=together or job.encode_only,
                enhance=job.enhance,
            )

    def _taken_over(self, row: JobRow) -> dict[tuple[str, Any], TileOutcome]:
        """Return what the job that this one repeats has left, by the tile's id and box."""
        if row.retry_of is None:
            return {}
        return {
            (info.id, info.box): taken_over(one)
            for info, one in self._tiles.read_finished(row.retry_of)
            if one.revision == self.revision
        }

    def split(self, claim: Claim, made: TiledJob) -> list[Doorbell] | None:
        """Give the tiles to the queue; None when the job is no longer ours."""
        return self._tiles.split(
            claim, made.tiles, made.work, together=made.together, room=self._room()
        )

    def finish(self, claim: Claim, outcome: TileOutcome | None) -> list[Doorbell] | None:
        """Give back a tile's outcome, None to have it tried again; None when it is not ours."""
        return self._tiles.finish(claim, outcome, self._room())

    def tell(self, job_id: str) -> None:
        """Stream what is settled of the text of a job that reads."""
        begun = self._tiles.read_unstreamed(job_id)
        if begun is not None:
            first, tiles, outcomes = begun
            self._tiles.stream(job_id, first, pieces(tiles, outcomes)[first:])

    def outcomes(self, row: JobRow) -> list[TileOutcome]:
        """Return what became of each tile."""
        return self._tiles.read_outcomes(row)

    def whole_question(
        self, row: JobRow, outcomes: Sequence[TileOutcome]
    ) -> tuple[JobInput, list[Notice]]:
        """Return what is left to ask when every tile has been looked at, and what it leaves out."""
        job = row.input
        if row.together:
            budget = job.tiling.budget if job.tiling else job.max_pixels
            seen = seen_of(row.tiles, outcomes)
            return job.model_copy(update={"images": seen, "max_pixels": budget}), []
        room = self._info.context_tokens - _TEMPLATE_TOKENS - job.params.max_new_tokens
        asked = prompts.whole_prompt(job.prompt, outcomes, room)
        told = []
        if asked.left_out:
            detail = f"The answers of {asked.left_out} of {len(outcomes)} parts found no room."
            told.append(Notice(code="parts_left_out", detail=detail))
        return job.model_copy(update={"images": (), "prompt": asked.prompt}), told


def _is_blank(tile: Image.Image) -> bool:
    extrema = tile.getextrema()
    return all(high - low < _BLANK for low, high in extrema)  # type: ignore[misc]

"""Cuts the images of a job into tiles, stores their pixels, and plans the work on each tile."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from PIL import Image

from shared.errors import ImageGone
from shared.jobs import JobInput, TileInfo, TileOutcome, Tiling, TilingTask
from shared.jobs import Turn as SessionTurn
from shared.jobs.image import StoredImage
from shared.jobs.row import JobRow
from shared.prediction.proportions import MIN_SIDE
from shared.prediction.tile_plan import tiling_for
from shared.store import Claim
from shared.store.jobs.tile_store import NewTile, TileStore
from shared.store.uploads.image_store import ImageStore
from worker.engine.api import ModelInfo
from worker.jobs.leases import LeaseLost
from worker.jobs.questions import fit_one_prompt, pixel_budget
from worker.jobs.tiled import prompts
from worker.jobs.tiled.outcomes import reuse_outcome
from worker.jobs.upright import Turn, Upright
from worker.pipeline.images import open_png
from worker.tiling import Tile, can_stream, cut, unread_mark

#: Difference between darkest and lightest sample below which a tile shows nothing.
_BLANK_CONTRAST = 12
#: Fields of GenerationParams that free an answer of its form.
UNCONSTRAINED: dict[str, Any] = {"choices": (), "regex": None, "response_format": None}


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """How a job is split: its tiles in reading order, and the work on each."""

    tiles: tuple[TileInfo, ...]
    work: tuple[NewTile, ...]
    #: One prompt will show all tiles, so that the work only makes their features.
    together: bool
    #: Its tiles were stored for it, and not for an earlier turn.
    is_new: bool = True


class TileCutter:
    """Makes the plans by which jobs are split."""

    def __init__(
        self, tiles: TileStore, images: ImageStore, info: ModelInfo, upright: Upright
    ) -> None:
        self._tiles = tiles
        self._images = images
        self._info = info
        self._upright = upright

    def cut(self, claim: Claim) -> SplitPlan | None:
        """Cut a job's images and store their tiles; None when they need no cut.

        Raises ImageGone, InferenceFailed for a damaged image, LeaseLost and StoreUnavailable.
        """
        row, job = claim.row, claim.row.input
        if job.tiling is None:
            return None
        infos = tuple(self._store_tiles(claim, job.tiling))
        if len(infos) == len(job.images) and not job.tiling.whole:
            return None
        together = job.tiling.task is TilingTask.ASK and fit_one_prompt(infos, job, self._info)
        inputs = self._tile_inputs(job, infos, together=together)
        known = {} if together else self._known_outcomes(row)
        live = can_stream([Tile(**info.placed) for info in infos])
        work = [
            NewTile(TileOutcome() if info.blank else known.get((info.id, info.box), tile), streams)
            for info, tile, streams in zip(infos, inputs, live, strict=True)
        ]
        return SplitPlan(infos, tuple(work), together)

    def reuse_tiles(self, row: JobRow, turns: Sequence[SessionTurn]) -> SplitPlan | None:
        """Plan to ask each tile of the image that a conversation is about.

        None when the question has images of its own, or when all tiles fit into one prompt.
        """
        shown = next((turn for turn in reversed(turns) if turn.images), None)
        if row.input.images or row.input.encode_only or shown is None or not shown.parts:
            return None
        looks = {"max_pixels": shown.max_pixels, "enhance": shown.enhance}
        job = row.input.model_copy(update=looks)
        if fit_one_prompt(shown.parts, job, self._info):
            return None
        inputs = self._tile_inputs(job, shown.parts, together=False)
        work = [
            NewTile(TileOutcome() if info.blank else tile)
            for info, tile in zip(shown.parts, inputs, strict=True)
        ]
        return SplitPlan(shown.parts, tuple(work), together=False, is_new=False)

    def _store_tiles(self, claim: Claim, tiling: Tiling) -> Iterator[TileInfo]:
        """Store the pixels of each tile of each image."""
        order, row = 0, claim.row
        for number, png in enumerate(self._images.pngs(row.tenant, row.input.images)):
            if png is None:
                raise ImageGone
            image, turn = open_png(png), None
            if self._upright.reads(row.input):
                image, turn = self._upright.turn(image)
            for tile in self._cut_image(image, row.input, tiling):
                pixels = image.crop(tile.box)
                placed = replace(tile, order=order, image=number)
                yield self._store_tile(claim, pixels, placed, turn)
                order += 1

    def _cut_image(self, image: Image.Image, job: JobInput, tiling: Tiling) -> list[Tile]:
        whole = [Tile(0, (0, 0, *image.size))]
        if tiling.whole or min(image.size) < MIN_SIDE:
            return whole
        if job.reader == "second":
            # it has no bound of its own
            return cut(image, tiling.budget)
        budget = min(tiling.budget, self._info.max_pixels)
        if job.find and tiling_for(*image.size, budget, task=None) is None:
            # a cut through a large thing would be no help
            return whole
        return cut(image, budget)

    def _store_tile(
        self, claim: Claim, pixels: Image.Image, tile: Tile, turn: Turn | None
    ) -> TileInfo:
        digest = hashlib.sha256(f"{pixels.width}x{pixels.height}\n".encode())
        digest.update(pixels.tobytes())
        out = io.BytesIO()
        pixels.save(out, "PNG", compress_level=1)
        image_id = f"img_{digest.hexdigest()}"
        stored = StoredImage(image_id, out.getvalue(), *pixels.size, pixels.size, "PNG")
        # a job that is erased meanwhile must leave no tile behind
        row = claim.row
        if not self._images.put(row.tenant, stored, job_id=row.id, owner=claim.owner):
            raise LeaseLost
        seam = asdict(tile)
        box, blank = seam.pop("box"), is_blank(pixels)
        if turn and (turn.degrees or not turn.sure):
            # tiles are joined where they were cut, and shown where they are in the stored image
            seam |= {"box": box, "turn": turn.degrees}
            box = turn.turn_back(box)
        return TileInfo(id=image_id, box=box, mark=unread_mark(tile), blank=blank, seam=seam)

    def _tile_inputs(
        self, job: JobInput, tiles: Sequence[TileInfo], *, together: bool
    ) -> Iterator[JobInput]:
        """Yield the input of the child job of each tile."""
        reads = job.tiling is not None and job.tiling.task is TilingTask.READ
        for number, tile in enumerate(tiles, start=1):
            prompt = prompts.build_part_prompt(job.prompt, number, len(tiles))
            if reads or together:
                prompt = job.prompt if reads else ""
            yield JobInput(
                prompt=prompt,
                images=(tile.id,),
                # a tile need not show the answer, so that it cannot be held to the answer's form
                params=job.params if reads else job.params.model_copy(update=UNCONSTRAINED),
                max_pixels=pixel_budget(job),
                encode_only=together or job.encode_only,
                enhance=job.enhance,
                reference=job.reference if reads else "",
                reader=job.reader,
                boxes=job.boxes if reads else "none",
                evidence=job.evidence,
                find=job.find,
                # tells that it is read, and a table's columns
                preset=job.preset if reads or job.needs_reader else None,
            )

    def _known_outcomes(self, row: JobRow) -> dict[tuple[str, Any], TileOutcome]:
        """Return the outcomes of the job that this one repeats, by the tile's id and box."""
        if row.retry_of is None:
            return {}
        return {
            (info.id, info.box): reuse_outcome(one)
            for info, one in self._tiles.read_finished(row.retry_of)
            if one.revision == self._info.revision
        }


def is_blank(pixels: Image.Image) -> bool:
    """Tell whether a tile shows nothing."""
    extrema = pixels.getextrema()
    return all(high - low < _BLANK_CONTRAST for low, high in extrema)  # type: ignore[misc]

"""The steps of a long job beside the model: cut its image, and make one answer of its tiles'."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from PIL import Image

from shared.errors import ImageGone, ServiceError
from shared.images import ImageStore, StoredImage
from shared.jobs import FinishReason, JobInput, TileInfo, TileOutcome, TilingTask, Usage
from shared.row import JobRow
from shared.store import Claim, Doorbell
from shared.tilestore import TileStore
from shared.vision import visual_tokens
from worker import tileprompts
from worker.engine.api import Completion, ModelInfo, Timings
from worker.pictures import open_png
from worker.tiling import Tile, cut, merge, unread

#: Difference between darkest and lightest sample of a tile that shows nothing.
_BLANK = 12
_UNHELD: dict[str, Any] = {"choices": (), "regex": None, "response_format": None}
#: Tokens of a chat template and of what is said around a question.
_TEMPLATE_TOKENS = 64
#: Seconds that a tile's pixels live until its job is split and takes care of them.
_UNCLAIMED_S = 3600


@dataclass(frozen=True, slots=True)
class Cut:
    """A long job's tiles, and the work on each: None where there is nothing to see."""

    tiles: tuple[TileInfo, ...]
    work: tuple[JobInput | None, ...]
    #: One prompt will look at all tiles, so that the work only makes their features.
    together: bool


class LongJobs:
    """Cuts, and takes in what comes back; what is asked of the engine goes through others."""

    def __init__(
        self, tiles: TileStore, images: ImageStore, info: ModelInfo, room: Callable[[], int]
    ) -> None:
        """`room` tells how many tiles all workers together may have at once."""
        self._tiles = tiles
        self._images = images
        self._info = info
        self._room = room

    def cut(self, row: JobRow) -> Cut | None:
        """Cut a job's image and store its tiles; None when it needs no cut.

        Raises ImageGone, and InferenceFailed for a damaged image.
        """
        (png,) = self._images.pngs(row.tenant, row.input.images)
        tiling = row.input.tiling
        if tiling is None or png is None:
            raise ImageGone
        image = open_png(png)
        parts = cut(image, min(tiling.budget, self._info.max_pixels))
        if len(parts) == 1:
            return None
        together = tiling.task is TilingTask.ASK and self._fit_together(row.input, parts)
        told = list(self._stored(row.tenant, image, parts))
        work = [
            None if blank else self._work(row.input, info, number, len(parts), together)
            for number, (info, blank) in enumerate(told, start=1)
        ]
        return Cut(tuple(info for info, _ in told), tuple(work), together)

    def _fit_together(self, job: JobInput, parts: Sequence[Tile]) -> bool:
        budget = min(job.tiling.budget if job.tiling else job.max_pixels, self._info.max_pixels)
        visual = [
            visual_tokens(p.width, p.height, budget, min_pixels=self._info.min_pixels).tokens
            for p in parts
        ]
        # no tokenizer makes more tokens than bytes
        words = len(job.prompt.encode("utf-8", "replace")) + _TEMPLATE_TOKENS
        tokens = sum(visual) + words + job.params.max_new_tokens
        return tokens <= self._info.context_tokens and self._info.image_room.holds(visual)

    def _stored(
        self, tenant: str, image: Image.Image, parts: Sequence[Tile]
    ) -> Iterator[tuple[TileInfo, bool]]:
        """Store each tile's pixels; yield it and whether it is blank."""
        for part in parts:
            tile = image.crop(part.box)
            digest = hashlib.sha256(f"{tile.width}x{tile.height}\n".encode())
            digest.update(tile.tobytes())
            out = io.BytesIO()
            tile.save(out, "PNG", compress_level=1)
            name = f"img_{digest.hexdigest()}"
            stored = StoredImage(name, out.getvalue(), *tile.size, tile.size, "PNG")
            self._images.put(tenant, stored, ttl_s=_UNCLAIMED_S)
            seam = asdict(part)
            info = TileInfo(id=name, box=seam.pop("box"), mark=unread(part), seam=seam)
            yield info, _is_blank(tile)

    def _work(
        self, job: JobInput, info: TileInfo, number: int, count: int, together: bool
    ) -> JobInput:
        read = job.tiling is not None and job.tiling.task is TilingTask.READ
        prompt = job.prompt if read else tileprompts.part_prompt(job.prompt, number, count)
        return JobInput(
            prompt="" if together else prompt,
            images=(info.id,),
            # a part need not know the answer, so that it cannot be held to its form
            params=job.params if read else job.params.model_copy(update=_UNHELD),
            max_pixels=job.tiling.budget if job.tiling else job.max_pixels,
            encode_only=together,
            enhance=job.enhance,
        )

    def split(self, claim: Claim, made: Cut) -> list[Doorbell] | None:
        """Give the tiles to the queue; None when the job is no longer ours."""
        return self._tiles.split(
            claim, made.tiles, made.work, together=made.together, room=self._room()
        )

    def finish(self, claim: Claim, outcome: TileOutcome | None) -> list[Doorbell] | None:
        """Give back a tile's outcome, None to have it tried again; None when it is not ours."""
        return self._tiles.finish(claim, outcome, self._room())

    def outcomes(self, row: JobRow) -> list[TileOutcome]:
        """Return what became of each tile."""
        return self._tiles.outcomes(row)

    def whole_question(self, row: JobRow, outcomes: Sequence[TileOutcome]) -> JobInput:
        """Return what is left to ask when every tile has been looked at."""
        job = row.input
        if row.together:
            seen = [tile.id for tile, one in zip(row.tiles, outcomes, strict=True) if not one.gap]
            budget = job.tiling.budget if job.tiling else job.max_pixels
            return job.model_copy(update={"images": tuple(seen), "max_pixels": budget})
        words = len(job.prompt.encode("utf-8", "replace")) + 8 * _TEMPLATE_TOKENS
        room = self._info.context_tokens - words - job.params.max_new_tokens
        prompt = tileprompts.whole_prompt(job.prompt, outcomes, room)
        return job.model_copy(update={"images": (), "prompt": prompt})


def _is_blank(tile: Image.Image) -> bool:
    extrema = tile.getextrema()
    return all(high - low < _BLANK for low, high in extrema)  # type: ignore[misc]


def outcome_of(done: Completion) -> TileOutcome:
    """Return what an answer about one tile leaves."""
    return TileOutcome(
        text=done.text,
        finish_reason=done.finish_reason,
        usage=done.usage,
        tokens=done.usage.completion_tokens,
        confidence=done.confidence,
        notices=done.notices,
        encode_s=done.timings.encode_s,
        prefill_s=done.timings.prefill_s,
        decode_s=done.timings.decode_s,
    )


def gap(error: ServiceError) -> TileOutcome:
    """Return what a tile leaves that could not be worked on."""
    return TileOutcome(gap=True, error=error.as_dict())


def joined(row: JobRow, outcomes: Sequence[TileOutcome]) -> Completion:
    """Return the texts of all tiles as one answer, with what they cost together."""
    parts = [
        (Tile(box=info.box, **info.seam), None if one.gap else one.text)
        for info, one in zip(row.tiles, outcomes, strict=True)
    ]
    answer = Completion(
        merge(parts, unread),
        _worst_reason(outcomes),
        Usage(),
        Timings(),
        confidence=_mean_confidence(outcomes),
    )
    return with_costs(answer, outcomes)


def with_costs(done: Completion, outcomes: Sequence[TileOutcome]) -> Completion:
    """Return an answer with the tokens and seconds of its tiles added to its own."""
    usages = [done.usage, *(one.usage for one in outcomes)]
    usage = Usage(**{name: sum(getattr(u, name) for u in usages) for name in Usage.model_fields})
    seconds: list[Timings | TileOutcome] = [done.timings, *outcomes]
    return replace(
        done,
        usage=usage,
        timings=Timings(
            encode_s=sum(one.encode_s for one in seconds),
            prefill_s=sum(one.prefill_s for one in seconds),
            decode_s=sum(one.decode_s for one in seconds),
        ),
    )


def _mean_confidence(outcomes: Sequence[TileOutcome]) -> float | None:
    """Return the geometric mean over all tokens; None where no tile told any."""
    told = [(one.confidence, one.tokens) for one in outcomes if one.confidence and one.tokens]
    tokens = sum(count for _, count in told)
    if not tokens:
        return None
    return math.exp(sum(count * math.log(mean) for mean, count in told) / tokens)


def _worst_reason(outcomes: Sequence[TileOutcome]) -> FinishReason:
    reasons = {one.finish_reason for one in outcomes}
    for reason in (FinishReason.LOOP, FinishReason.LENGTH):
        if reason in reasons:
            return reason
    return FinishReason.STOP

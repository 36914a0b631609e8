"""The three steps of a tiled job: it is split, each tile is run, the outcomes are merged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from shared.errors import InferenceFailed, ServiceError, StoreUnavailable, TileFailed
from shared.jobs import (
    FinishReason,
    Notice,
    TileOutcome,
    TileOutput,
    TilingTask,
    Usage,
)
from shared.jobs.row import JobRow
from shared.queue import send_doorbells
from shared.store.jobs.tile_store import TilesLost, TileStore, tiles_percent
from shared.store.uploads.image_store import ImageStore
from worker.engine.api import Completion, ModelInfo, Timings
from worker.jobs.claimed_job import ClaimedJob, as_service_errors
from worker.jobs.finding.image import find_in_image
from worker.jobs.finding.summing import join_pointed
from worker.jobs.leases import JobReleased, LeaseLost
from worker.jobs.placing import join_seen
from worker.jobs.progress import PartsDone
from worker.jobs.questions import pixel_budget
from worker.jobs.results import EngineAnswer, TilingResult
from worker.jobs.tiled.outcomes import (
    add_costs,
    add_drafts,
    ids_to_view,
    join_by_image,
    join_outcomes,
    join_second_texts,
    make_gap,
    make_outcome,
    mean_confidence,
    settled_pieces,
)
from worker.jobs.tiled.reducing import reduce_answers
from worker.jobs.tiled.tiles import TileCutter
from worker.jobs.upright import Upright, doubtful_notice, turned_notice
from worker.places.seen import SeenImage

_log = logging.getLogger(__name__)

#: Percent of a job that asks all tiles together that are done when its tiles are.
_TOGETHER_PERCENT = tiles_percent(together=True, reads=False)


class TiledSteps:
    """Takes the steps of every tiled job of a worker; its threads share it."""

    def __init__(
        self,
        tiles: TileStore,
        images: ImageStore,
        info: ModelInfo,
        max_tiles: Callable[[], int],
        upright: Upright,
    ) -> None:
        """`max_tiles` returns how many tiles may be queued or running in the whole service."""
        self._tiles = tiles
        self._info = info
        self._max_tiles = max_tiles
        self._cutter = TileCutter(tiles, images, info, upright)

    def begin(self, job: ClaimedJob) -> EngineAnswer | None:
        """Return the answer to a job; None when its tiles were queued instead.

        Raises ServiceErrors, LeaseLost and JobReleased.
        """
        if self.split(job):
            return None
        question = job.build_question(job.row.input)
        return find_in_image(job, question) if question.job.find else job.answer(question)

    def split(self, job: ClaimedJob) -> bool:
        """Queue a job's tiles; False when its images need no cut.

        A question about a long image of an earlier turn is asked of that image's tiles again.
        Raises ImageGone, InferenceFailed and LeaseLost.
        """
        while True:
            try:
                return self._try_split(job)
            except TilesLost:
                _log.warning("tiles.lost")

    def _try_split(self, job: ClaimedJob) -> bool:
        row = job.row
        plan = job.retry_while_store_is_down(lambda: self._cutter.cut(job.claim))
        if plan is None and row.session_id:
            plan = self._cutter.reuse_tiles(row, job.read_turns())
        if plan is None:
            return False
        doorbells = job.retry_while_store_is_down(
            lambda: self._tiles.split(
                job.claim,
                plan.tiles,
                plan.work,
                together=plan.together,
                room=self._max_tiles(),
                images_stored=plan.is_new,
            )
        )
        if doorbells is None:
            raise LeaseLost
        _log.info("job.split", extra={"tiles": len(plan.tiles), "together": plan.together})
        send_doorbells(doorbells)
        self._try_stream_text(row.id, row)
        return True

    def run_tile(self, job: ClaimedJob) -> None:
        """Run one tile and store its outcome; raises LeaseLost and JobReleased."""
        row, outcome = job.row, self._tile_outcome(job)
        doorbells = job.retry_while_store_is_down(
            lambda: self._tiles.finish(job.claim, outcome, self._max_tiles())
        )
        if doorbells is None:
            raise LeaseLost
        _log.info("tile.finished", extra={"parent": row.parent, "tile": row.tile})
        send_doorbells(doorbells)
        if row.parent:
            self._try_stream_text(row.parent, row)

    def _tile_outcome(self, job: ClaimedJob) -> TileOutcome | None:
        """Return a tile's outcome: a gap when it failed for good, None to have it tried again."""
        row = job.row
        try:
            with as_service_errors():
                return self._ask_tile(job)
        except ServiceError as error:
            _log.warning("tile.failed", extra={"code": error.code, "attempt": row.attempt})
            again = error.retryable and row.attempt < row.max_attempts
            return None if again else make_gap(error)

    def _ask_tile(self, job: ClaimedJob) -> TileOutcome:
        question = replace(job.build_question(job.row.input), scope="", background=True)
        answer = find_in_image(job, question) if question.job.find else job.answer(question)
        completion = answer.completion
        if completion.finish_reason is FinishReason.CANCELED:
            raise JobReleased
        if completion.finish_reason is FinishReason.DEADLINE:
            raise InferenceFailed("It took longer than one attempt may take.")
        outcome = make_outcome(completion, self._info.revision)
        if question.job.find:
            outcome = outcome.model_copy(update={"notices": _search_notices(answer)})
        read = {
            "read_s": answer.read_s,
            "second_text": answer.second_text or "",
            "rows": answer.seen[0].rows if answer.seen else (),
            "objects": answer.objects or (),
        }
        return outcome.model_copy(update=read)

    def stream_text(self, job_id: str) -> None:
        """Stream the settled text of a job that reads; raises StoreUnavailable."""
        unstreamed = self._tiles.read_unstreamed(job_id)
        if unstreamed is not None:
            first, tiles, outcomes = unstreamed
            self._tiles.stream(job_id, first, settled_pieces(tiles, outcomes)[first:])

    def _try_stream_text(self, job_id: str, row: JobRow) -> None:
        if row.input.find:
            # its text is a sentence at the end
            return
        try:
            self.stream_text(job_id)
        except StoreUnavailable as error:
            # the next tile's end, or the merge, streams it
            _log.warning("report.failed", extra={"cause": error.detail})

    def merge(self, job: ClaimedJob) -> EngineAnswer:
        """Return one answer from all tiles; raises TileFailed when every tile failed."""
        row = job.row
        outcomes = job.retry_while_store_is_down(lambda: self._tiles.read_outcomes(row))
        _check_any_succeeded(outcomes)
        if row.input.encode_only:
            answer = EngineAnswer(_empty_completion(), tiling=_tiling_result(row, outcomes))
        elif row.input.find:
            answer = EngineAnswer(
                add_costs(_empty_completion(mean_confidence(outcomes)), outcomes),
                tiling=_tiling_result(row, outcomes),
                read_s=sum(one.read_s for one in outcomes),
                seen=join_seen(row.tiles, outcomes, wanted=row.input.wants_places),
                objects=join_pointed(row.tiles, outcomes),
            )
        elif row.input.tiling and row.input.tiling.task is TilingTask.READ:
            job.retry_while_store_is_down(lambda: self.stream_text(row.id))
            joined = join_outcomes(row.tiles, outcomes)
            tiling = _tiling_result(row, outcomes)
            if len(row.input.images) > 1:
                tiling = replace(tiling, images=join_by_image(row.tiles, outcomes))
            answer = EngineAnswer(
                joined,
                tiling=tiling,
                read_s=sum(one.read_s for one in outcomes),
                second_text=join_second_texts(row, outcomes),
                seen=join_seen(row.tiles, outcomes, wanted=row.input.boxes != "none"),
            )
        elif row.together:
            answer = self._ask_together(job, outcomes)
        else:
            answer = self._reduce_answers(job, outcomes)
        about_parts = (
            *_turn_notices(row),
            *_tile_notices(outcomes, is_search=bool(row.input.find)),
        )
        drafts = job.retry_while_store_is_down(lambda: self._tiles.read_drafts(row.id))
        return replace(
            answer,
            completion=add_drafts(answer.completion, drafts),
            notices=(*answer.notices, *about_parts),
        )

    def _ask_together(self, job: ClaimedJob, outcomes: Sequence[TileOutcome]) -> EngineAnswer:
        """Ask the question in one prompt that shows all tiles."""
        row, ids = job.row, ids_to_view(job.row.tiles, outcomes)
        looks = {"images": ids, "image_places": (), "max_pixels": pixel_budget(row.input)}
        question = job.build_question(row.input.model_copy(update=looks))
        parts = PartsDone("tiles", len(outcomes))
        answer = job.answer(question, parts=parts, percent=_TOGETHER_PERCENT)
        # the tiles' tokens are in this prompt; their seconds were spent before
        costs = [one.model_copy(update={"usage": Usage()}) for one in outcomes]
        completion = add_costs(answer.completion, costs)
        seen = None if answer.seen is None else _join_shown(row, outcomes, ids, answer.seen)
        tiling = _tiling_result(row, outcomes)
        return replace(answer, completion=completion, tiling=tiling, seen=seen)

    def _reduce_answers(self, job: ClaimedJob, outcomes: Sequence[TileOutcome]) -> EngineAnswer:
        """Ask for one answer from the answers of the tiles."""
        reduced = reduce_answers(job, self._info, outcomes)
        tiling = _tiling_result(job.row, outcomes, reduced.evidence)
        seen = join_seen(job.row.tiles, outcomes, wanted=job.row.input.evidence)
        return replace(reduced.answer, tiling=tiling, seen=seen)


def _join_shown(
    row: JobRow,
    outcomes: Sequence[TileOutcome],
    ids: Sequence[str],
    seen: Sequence[SeenImage],
) -> tuple[SeenImage, ...] | None:
    """Return what was seen in the tiles of these ids, in pixels of their images."""
    rows = {tile_id: one.rows for tile_id, one in zip(ids, seen, strict=True)}
    looked = [
        one.model_copy(update={"rows": rows.get(info.id, ())})
        for info, one in zip(row.tiles, outcomes, strict=True)
    ]
    return join_seen(row.tiles, looked, wanted=True)


def _search_notices(answer: EngineAnswer) -> tuple[Notice, ...]:
    """Return what is to be known of a tile that was searched."""
    return (*answer.notices, *answer.completion.notices)


def _check_any_succeeded(outcomes: Sequence[TileOutcome]) -> None:
    failures = [one.error for one in outcomes if one.gap]
    if len(failures) == len(outcomes):
        cause = _cause(failures[0])
        raise TileFailed(f"None of the {len(outcomes)} parts could be read: {cause}")


def _cause(error: dict[str, Any] | None) -> Any:
    return (error or {}).get("message", TileFailed.title())


def _empty_completion(confidence: float | None = None) -> Completion:
    return Completion("", FinishReason.STOP, Usage(), Timings(), confidence=confidence)


def _tiling_result(
    row: JobRow, outcomes: Sequence[TileOutcome], evidence: frozenset[int] = frozenset()
) -> TilingResult:
    """Return what callers get of each tile; `evidence` are the numbers of tiles, from 0."""
    outputs = tuple(
        TileOutput(
            image=info.image,
            box=info.box,
            text=None if one.gap or row.together else one.text,
            gap=one.gap,
            evidence=number in evidence,
            confidence=one.confidence,
        )
        for number, (info, one) in enumerate(zip(row.tiles, outcomes, strict=True))
    )
    partial = any(one.gap for one in outcomes)
    return TilingResult(outputs, ids_to_view(row.tiles, outcomes), row.tiles, partial=partial)


def _turn_notices(row: JobRow) -> list[Notice]:
    """Return which images of a job were turned before they were cut, or may lie on their side."""
    if row.input.tiling is None or row.input.tiling.task is not TilingTask.READ:
        return []
    turns = {info.image: info.turn for info in row.tiles if info.turn or info.doubtful}
    return [
        turned_notice(image, turn) if turn else doubtful_notice(image)
        for image, turn in sorted(turns.items())
    ]


def _tile_notices(outcomes: Sequence[TileOutcome], *, is_search: bool = False) -> list[Notice]:
    count, notices = len(outcomes), []
    if before := sum(one.taken_over for one in outcomes):
        detail = f"{before} of {count} parts were reused from the job that this one retries."
        notices.append(Notice(code="tiles_taken_over", detail=detail))
    for number, one in enumerate(outcomes, start=1):
        for notice in one.notices:
            detail = f"Part {number} of {count}: {notice.detail}"
            notices.append(Notice(code=notice.code, detail=detail))
        if one.gap:
            detail = f"Part {number} of {count} could not be read: {_cause(one.error)}"
            notices.append(Notice(code="tile_failed", detail=detail))
        elif one.finish_reason is FinishReason.LENGTH and not is_search:
            detail = f"Part {number} of {count} has more text than max_new_tokens allows."
            notices.append(Notice(code="tile_cut_short", detail=detail))
    return notices

"""What a worker does for a long job: the cut, one tile, the merge."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from shared.errors import InferenceFailed, ServiceError, StoreUnavailable, TileFailed
from shared.jobs import (
    FinishReason,
    Notice,
    TileOutcome,
    TileOutput,
    TilingTask,
    Turn,
    Usage,
)
from shared.jobs.row import JobRow
from shared.queue import ring
from shared.store.tile_store import tiles_percent
from worker.engine.api import Completion, Timings
from worker.jobs.claimed_job import ClaimedJob, as_service_errors
from worker.jobs.leases import JobReleased, LeaseLost
from worker.jobs.results import EngineAnswer, TiledPart
from worker.jobs.tiled import prompts
from worker.jobs.tiled.outcomes import gap, joined, outcome_of, seen_of, with_costs
from worker.jobs.tiled.tiles import TileCutter

_log = logging.getLogger(__name__)

#: Percent of a job that asks that are done when its tiles are.
_TOGETHER_PERCENT = tiles_percent(together=True, reads=False)
_APART_PERCENT = tiles_percent(together=False, reads=False)


class TiledSteps:
    """One of it serves all threads of a worker."""

    def __init__(self, jobs: TileCutter) -> None:
        self._jobs = jobs

    def split(self, job: ClaimedJob) -> bool:
        """Hand a job's tiles to the queue; False when its images need no cut.

        A question about a long image that a conversation has shown before is asked of its tiles
        again. Raises ImageGone, InferenceFailed and Lost.
        """
        row = job.row
        made = job.retry_while_store_is_down(lambda: self._jobs.cut(row))
        if made is None and row.session_id:
            made = self._jobs.again(row, job.read_turns())
        if made is None:
            return False
        bells = job.retry_while_store_is_down(lambda: self._jobs.split(job.claim, made))
        if bells is None:
            raise LeaseLost
        _log.info("job.split", extra={"tiles": len(made.tiles), "together": made.together})
        ring(bells)
        self._tell(row.id)
        return True

    def _tell(self, job_id: str) -> None:
        try:
            self._jobs.tell(job_id)
        except StoreUnavailable as error:
            # the next tile's end, or the merge, tells it as well
            _log.warning("report.failed", extra={"cause": error.detail})

    def run_tile(self, job: ClaimedJob) -> None:
        """Work on one tile and give its outcome back; raises LeaseLost and JobReleased."""
        row, outcome = job.row, self._tile_outcome(job)
        bells = job.retry_while_store_is_down(lambda: self._jobs.finish(job.claim, outcome))
        if bells is None:
            raise LeaseLost
        _log.info("tile.finished", extra={"parent": row.parent, "tile": row.tile})
        ring(bells)
        if row.parent:
            self._tell(row.parent)

    def _tile_outcome(self, job: ClaimedJob) -> TileOutcome | None:
        """Return what a tile gave: a gap when it failed for good, None to have it tried again."""
        row = job.row
        try:
            with as_service_errors():
                return self._read_tile(job)
        except ServiceError as error:
            _log.warning("tile.failed", extra={"code": error.code, "attempt": row.attempt})
            again = error.retryable and row.attempt < row.max_attempts
            return None if again else gap(error)

    def _read_tile(self, job: ClaimedJob) -> TileOutcome:
        row = job.row
        question = replace(job.build_question(row.input), scope="", background=True)
        done = job.run_engine(question).done
        if done.finish_reason is FinishReason.CANCELED:
            raise JobReleased
        if done.finish_reason is FinishReason.DEADLINE:
            raise InferenceFailed("It took longer than one attempt may.")
        return outcome_of(done, self._jobs.revision)

    def merge(self, job: ClaimedJob) -> EngineAnswer:
        """Make one answer of all tiles; raises TileFailed when there is nothing to make it of."""
        row = job.row
        outcomes = job.retry_while_store_is_down(lambda: self._jobs.outcomes(row))
        lost = [one.error for one in outcomes if one.gap]
        if len(lost) == len(outcomes):
            why = (lost[0] or {}).get("message", TileFailed.title())
            raise TileFailed(f"None of the {len(outcomes)} parts could be read: {why}")
        if row.input.encode_only:
            answer = EngineAnswer(_nothing(), whole=_whole(row, outcomes))
        elif row.input.tiling and row.input.tiling.task is TilingTask.READ:
            job.retry_while_store_is_down(lambda: self._jobs.tell(row.id))
            answer = EngineAnswer(joined(row.tiles, outcomes), whole=_whole(row, outcomes))
        else:
            answer = self._answered(job, outcomes)
        return replace(answer, notices=(*answer.notices, *_notices(outcomes)))

    def _answered(self, job: ClaimedJob, outcomes: Sequence[TileOutcome]) -> EngineAnswer:
        row = job.row
        whole, told = self._jobs.whole_question(row, outcomes)
        question = job.build_question(whole)
        count = len(outcomes)
        if row.together:
            answer = job.run_engine(question, tiles=count, percent=_TOGETHER_PERCENT)
            # the tiles' tokens are in this prompt; their seconds were spent before
            costs = [one.model_copy(update={"usage": Usage()}) for one in outcomes]
            done = with_costs(answer.done, costs)
            return replace(answer, done=done, whole=_whole(row, outcomes))
        # its words are not those that the conversation keeps
        question = replace(question, scope="", history=[_words(t) for t in question.history])
        answer = job.run_engine(question, tiles=count, percent=_APART_PERCENT, silent=True)
        final = prompts.whole_answer(answer.done.text, outcomes)
        job.publish_text(final.text)
        done = with_costs(replace(answer.done, text=final.text, token_ids=()), outcomes)
        notices = (*answer.notices, *told)
        whole_of = _whole(row, outcomes, final.evidence)
        return replace(answer, done=done, notices=notices, whole=whole_of)


def _nothing() -> Completion:
    return Completion("", FinishReason.STOP, Usage(), Timings())


def _words(turn: Turn) -> Turn:
    """Return a turn without its images: the parts have answered for theirs."""
    return turn.model_copy(update={"images": (), "tiles": (), "parts": ()})


def _whole(
    row: JobRow, outcomes: Sequence[TileOutcome], evidence: frozenset[int] = frozenset()
) -> TiledPart:
    shown = tuple(
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
    return TiledPart(
        shown, seen_of(row.tiles, outcomes), row.tiles, partial=any(one.gap for one in outcomes)
    )


def _notices(outcomes: Sequence[TileOutcome]) -> list[Notice]:
    count, told = len(outcomes), []
    if before := sum(one.taken_over for one in outcomes):
        detail = f"{before} of {count} parts were read by the job that this one repeats."
        told.append(Notice(code="tiles_taken_over", detail=detail))
    for number, one in enumerate(outcomes, start=1):
        for notice in one.notices:
            detail = f"Part {number} of {count}: {notice.detail}"
            told.append(Notice(code=notice.code, detail=detail))
        if one.gap:
            why = (one.error or {}).get("message", TileFailed.title())
            detail = f"Part {number} of {count} could not be read: {why}"
            told.append(Notice(code="tile_failed", detail=detail))
        elif one.finish_reason is FinishReason.LENGTH:
            detail = f"Part {number} of {count} has more text than max_new_tokens allows."
            told.append(Notice(code="tile_cut_short", detail=detail))
    return told

"""What a worker does for a long job: the cut, one tile, the merge."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from shared.errors import InferenceFailed, ServiceError, StoreUnavailable, TileFailed
from shared.jobs import (
    FinishReason,
    JobInput,
    Notice,
    TileOutcome,
    TileOutput,
    TilingTask,
    Turn,
    Usage,
)
from shared.jobs.row import JobRow
from shared.queue import send_doorbells
from shared.store.tile_store import tiles_percent
from worker.engine.api import Completion, Timings
from worker.jobs.leases import ClaimedJob, JobReleased, LeaseLost
from worker.jobs.results import EngineAnswer, TiledPart
from worker.jobs.tiled import prompts
from worker.jobs.tiled.outcomes import gap, joined, outcome_of, seen_of, with_costs
from worker.jobs.tiled.tiles import TileCutter
from worker.pipeline import Question

_log = logging.getLogger(__name__)

#: Percent of a job that asks that are done when its tiles are.
_TOGETHER_PERCENT = tiles_percent(together=True, reads=False)
_APART_PERCENT = tiles_percent(together=False, reads=False)

T = TypeVar("T")


class Desk(Protocol):
    """Where a held job is answered."""

    def patiently(self, held: ClaimedJob, act: Callable[[], T]) -> T:
        """Return what `act` gives once the store answers."""

    def turns(self, held: ClaimedJob) -> list[Turn]:
        """Return what was said before in the job's session."""

    def question(self, held: ClaimedJob, job: JobInput) -> Question:
        """Return what is asked, with the images and the conversation that it needs."""

    def ask(
        self,
        held: ClaimedJob,
        question: Question,
        *,
        tiles: int = 0,
        percent: int = 0,
        silent: bool = False,
    ) -> EngineAnswer:
        """Return the engine's answer; `percent` of the job were done before, and all `tiles`."""

    def say(self, held: ClaimedJob, text: str) -> None:
        """Tell the caller of text that no report has told."""

    def attempt(self, act: Callable[[], T]) -> T | ServiceError:
        """Return what `act` gives, or its failure."""


class TiledSteps:
    """One of it serves all threads of a worker."""

    def __init__(self, desk: Desk, jobs: TileCutter) -> None:
        self._desk = desk
        self._jobs = jobs

    def split(self, held: ClaimedJob) -> bool:
        """Hand a job's tiles to the queue; False when its images need no cut.

        A question about a long image that a conversation has shown before is asked of its tiles
        again. Raises ImageGone, InferenceFailed and Lost.
        """
        row = held.claim.row
        made = self._desk.patiently(held, lambda: self._jobs.cut(row))
        if made is None and row.session_id:
            made = self._jobs.again(row, self._desk.turns(held))
        if made is None:
            return False
        bells = self._desk.patiently(held, lambda: self._jobs.split(held.claim, made))
        if bells is None:
            raise LeaseLost
        _log.info("job.split", extra={"tiles": len(made.tiles), "together": made.together})
        send_doorbells(bells)
        self._tell(row.id)
        return True

    def _tell(self, job_id: str) -> None:
        try:
            self._jobs.tell(job_id)
        except StoreUnavailable as error:
            # the next tile's end, or the merge, tells it as well
            _log.warning("report.failed", extra={"cause": error.detail})

    def tile(self, held: ClaimedJob) -> None:
        """Work on one tile and give its outcome back; raises LeaseLost and JobReleased."""
        row = held.claim.row
        outcome = self._desk.attempt(lambda: self._outcome(held))
        if isinstance(outcome, ServiceError):
            again = outcome.retryable and row.attempt < row.max_attempts
            _log.warning("tile.failed", extra={"code": outcome.code, "attempt": row.attempt})
            kept = None if again else gap(outcome)
        else:
            kept = outcome
        bells = self._desk.patiently(held, lambda: self._jobs.finish(held.claim, kept))
        if bells is None:
            raise LeaseLost
        _log.info("tile.finished", extra={"parent": row.parent, "tile": row.tile})
        send_doorbells(bells)
        if row.parent:
            self._tell(row.parent)

    def _outcome(self, held: ClaimedJob) -> TileOutcome:
        row = held.claim.row
        question = replace(self._desk.question(held, row.input), scope="", background=True)
        done = self._desk.ask(held, question).done
        if done.finish_reason is FinishReason.CANCELED:
            raise JobReleased
        if done.finish_reason is FinishReason.DEADLINE:
            raise InferenceFailed("It took longer than one attempt may.")
        return outcome_of(done, self._jobs.revision)

    def merge(self, held: ClaimedJob) -> EngineAnswer:
        """Make one answer of all tiles; raises TileFailed when there is nothing to make it of."""
        row = held.claim.row
        outcomes = self._desk.patiently(held, lambda: self._jobs.outcomes(row))
        lost = [one.error for one in outcomes if one.gap]
        if len(lost) == len(outcomes):
            why = (lost[0] or {}).get("message", TileFailed.title())
            raise TileFailed(f"None of the {len(outcomes)} parts could be read: {why}")
        if row.input.encode_only:
            answer = EngineAnswer(_nothing(), whole=_whole(row, outcomes))
        elif row.input.tiling and row.input.tiling.task is TilingTask.READ:
            self._desk.patiently(held, lambda: self._jobs.tell(row.id))
            answer = EngineAnswer(joined(row.tiles, outcomes), whole=_whole(row, outcomes))
        else:
            answer = self._answered(held, outcomes)
        return replace(answer, notices=(*answer.notices, *_notices(outcomes)))

    def _answered(self, held: ClaimedJob, outcomes: Sequence[TileOutcome]) -> EngineAnswer:
        row = held.claim.row
        whole, told = self._jobs.whole_question(row, outcomes)
        question = self._desk.question(held, whole)
        count = len(outcomes)
        if row.together:
            answer = self._desk.ask(held, question, tiles=count, percent=_TOGETHER_PERCENT)
            # the tiles' tokens are in this prompt; their seconds were spent before
            costs = [one.model_copy(update={"usage": Usage()}) for one in outcomes]
            done = with_costs(answer.done, costs)
            return replace(answer, done=done, whole=_whole(row, outcomes))
        # its words are not those that the conversation keeps
        question = replace(question, scope="", history=[_words(t) for t in question.history])
        answer = self._desk.ask(held, question, tiles=count, percent=_APART_PERCENT, silent=True)
        final = prompts.whole_answer(answer.done.text, outcomes)
        self._desk.say(held, final.text)
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

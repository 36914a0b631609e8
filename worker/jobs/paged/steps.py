"""The steps of a job about a document: it is split, each page is done, outcomes are joined."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from shared.documents.model import DocumentInfo, TextDoubt
from shared.errors import DocumentError, InputTooLong, ServiceError, StoreUnavailable
from shared.jobs import (
    DocumentInput,
    JobInput,
    PageOutcome,
    PageSource,
    TextLayer,
    TextLine,
)
from shared.jobs.document import RunningLines
from shared.jobs.row import JobRow
from shared.queue import send_doorbells
from shared.store.jobs.tile_store import NewTile, TileStore
from worker.engine.api import ModelInfo
from worker.jobs.claimed_job import ClaimedJob, as_service_errors
from worker.jobs.finding.pages import PageSearch
from worker.jobs.leases import LeaseLost
from worker.jobs.paged.asking import OnePrompt, blank_notices
from worker.jobs.paged.evidence import mark_evidence
from worker.jobs.paged.joining import AROUND, Seam, join_pages
from worker.jobs.paged.outputs import (
    check_any_page,
    join_outcomes,
    make_page_gap,
    page_lines,
    page_notices,
    page_outputs,
)
from worker.jobs.paged.pages import PageReader
from worker.jobs.paged.reading import PageWork, is_reading
from worker.jobs.results import EngineAnswer, PagingResult, ReadSource
from worker.jobs.tiled.outcomes import add_drafts, reuse_outcome
from worker.jobs.tiled.prompts import DOCUMENT
from worker.jobs.tiled.reducing import reduce_answers

_log = logging.getLogger(__name__)

#: Seconds and characters for which the worker that splits a job takes pages' own texts itself; what
#: is left then goes through the queue, so that others get their turns.
_SLICE_S, _SLICE_CHARS = 2.0, 2 << 20
#: Pages that are streamed in one step.
_STREAMED = 16


class PagedSteps:
    """Takes the steps of every document job of a worker; its threads share it."""

    def __init__(
        self,
        tiles: TileStore,
        pages: PageReader,
        info: ModelInfo,
        max_tiles: Callable[[], int],
    ) -> None:
        """`max_tiles` returns how many pages may be queued or running in the whole service."""
        self._tiles = tiles
        self._pages = pages
        self._info = info
        self._max_tiles = max_tiles
        self._work = PageWork(pages, info)
        self._search = PageSearch(pages, info)
        self._one_prompt = OnePrompt(pages, info)

    def document_of(self, job: ClaimedJob) -> DocumentInput | None:
        """Return the document that a job is about: its own, or the latest of its conversation."""
        row = job.row
        if row.input.document or row.input.images or not row.session_id or row.input.encode_only:
            return row.input.document
        shown = (turn for turn in reversed(job.read_turns()) if turn.images or turn.document)
        latest = next(shown, None)
        return latest.document if latest else None

    def begin(self, job: ClaimedJob, document: DocumentInput) -> EngineAnswer | None:
        """Return the answer to a job; None when its pages were queued instead.

        Raises ServiceErrors, LeaseLost and JobReleased.
        """
        info = self._pages.info(job, document)
        if not is_reading(job.row.input):
            answer = self._ask_together(job, document, info)
            if answer is not None:
                return answer
        self._split(job, document, info)
        return None

    def _ask_together(
        self, job: ClaimedJob, document: DocumentInput, info: DocumentInfo
    ) -> EngineAnswer | None:
        """Return the answer to one prompt about all pages; None where the context does not last."""
        try:
            prompt = self._one_prompt.build(job, document, info)
            if prompt is None:
                return None
            asked = prompt.as_input(job.row.input)
            answer = job.answer(job.build_question(asked, prompt.pictures))
        except (InputTooLong, DocumentError) as error:
            # page by page the others can be asked, and this one leaves a gap
            _log.info("job.asked_by_page", extra={"code": error.code})
            return None
        outputs = mark_evidence(prompt.outputs, answer.completion.text, prompt.own_texts)
        return EngineAnswer(
            answer.completion,
            (),
            (*answer.notices, *blank_notices(outputs)),
            paging=PagingResult(outputs),
            read_s=answer.read_s,
            source=prompt.source(info, answer.seen or ()) if job.row.input.evidence else None,
        )

    def _split(self, job: ClaimedJob, document: DocumentInput, info: DocumentInfo) -> None:
        row = job.row
        work = list(self._plan_pages(job, document, info))
        doorbells = job.retry_while_store_is_down(
            lambda: self._tiles.split_pages(job.claim, document.pages, work, room=self._max_tiles())
        )
        if doorbells is None:
            raise LeaseLost
        known = sum(isinstance(page.what, PageOutcome) for page in work)
        _log.info("job.split", extra={"pages": len(work), "known": known})
        send_doorbells(doorbells)
        self._try_stream_text(row.id, row.input, document.running_lines)

    def _plan_pages(
        self, job: ClaimedJob, document: DocumentInput, info: DocumentInfo
    ) -> Iterator[NewTile]:
        """Yield the work on each page: its outcome, as far as that is known or quickly made."""
        known = self._known_outcomes(job.row)
        until, characters = time.monotonic() + _SLICE_S, 0
        for number in document.pages:
            outcome = known.get(number)
            if outcome is None and characters < _SLICE_CHARS and time.monotonic() < until:
                outcome = self._quick_outcome(job, document, info, number)
            if outcome is not None:
                characters += len(outcome.text)
                yield NewTile(outcome)
            else:
                yield NewTile(_page_input(job.row.input, document, info, number))
            if job.lease.lost:
                raise LeaseLost

    def _quick_outcome(
        self, job: ClaimedJob, document: DocumentInput, info: DocumentInfo, number: int
    ) -> PageOutcome | None:
        """Return the outcome of a page that no model has to see, as far as that is known."""
        page = info.pages[number - 1]
        if page.blank:
            return PageOutcome(source=PageSource.BLANK)
        wanted = (
            page.text_trusted
            or page.text_doubt is TextDoubt.NOT_CHECKED
            or document.text_layer is TextLayer.ONLY
        )
        if not wanted or not is_reading(job.row.input):
            return None
        try:
            work = self._search if job.row.input.find else self._work
            return work.own_text(job, document, number)
        except DocumentError:
            # the page gets its three tries by itself
            return None

    def _known_outcomes(self, row: JobRow) -> dict[int, PageOutcome]:
        """Return the outcomes of the job that this one repeats, by page."""
        if row.retry_of is None:
            return {}
        return {
            number: reuse_outcome(one)
            for number, one in self._tiles.read_finished_pages(row.retry_of)
            if one.source is not PageSource.MODEL or one.revision == self._info.revision
        }

    def run_page(self, job: ClaimedJob, document: DocumentInput) -> None:
        """Do one page and store its outcome; raises LeaseLost and JobReleased."""
        row, outcome = job.row, self._page_outcome(job, document)
        doorbells = job.retry_while_store_is_down(
            lambda: self._tiles.finish(job.claim, outcome, self._max_tiles())
        )
        if doorbells is None:
            raise LeaseLost
        _log.info("page.finished", extra={"parent": row.parent, "page": document.pages[0]})
        send_doorbells(doorbells)
        if row.parent:
            self._try_stream_text(row.parent, row.input, document.running_lines)

    def _page_outcome(self, job: ClaimedJob, document: DocumentInput) -> PageOutcome | None:
        """Return a page's outcome: a gap when it failed for good, None to have it tried again."""
        row = job.row
        make = self._work.read if is_reading(row.input) else self._work.ask
        make = self._search.find if row.input.find else make
        try:
            with as_service_errors():
                return make(job, document, document.pages[0])
        except ServiceError as error:
            _log.warning("page.failed", extra={"code": error.code, "attempt": row.attempt})
            again = error.retryable and row.attempt < row.max_attempts
            return None if again else make_page_gap(error)

    def stream_text(self, job_id: str, handling: RunningLines) -> None:
        """Stream the settled text of a job that reads; raises StoreUnavailable."""
        while window := self._tiles.read_unstreamed_pages(job_id, AROUND, _STREAMED):
            count = len(window.outcomes)
            is_whole = window.start + count == window.total
            first = window.first - window.start
            last = min(count - (0 if is_whole else AROUND), first + _STREAMED)
            if last <= first:
                return
            numbers = window.numbers[window.start : window.start + count]
            lines = page_lines(numbers, window.outcomes)
            seam = Seam.parse(window.seam)
            pieces, seam = join_pages(lines, numbers, first, last, handling, seam)
            ended = self._tiles.stream(job_id, window.first, pieces, seam.dump()) is None
            # what has become ready since is streamed by whoever made it so, or by the merge
            if ended or last - first < _STREAMED:
                return

    def _try_stream_text(self, job_id: str, job: JobInput, handling: RunningLines) -> None:
        if job.find:
            # its text is a sentence at the end
            return
        try:
            self.stream_text(job_id, handling)
        except StoreUnavailable as error:
            # the next page's end, or the merge, streams it
            _log.warning("report.failed", extra={"cause": error.detail})

    def merge(self, job: ClaimedJob) -> EngineAnswer:
        """Return one answer from all pages; raises PageFailed when every page failed."""
        row = job.row
        outcomes = job.retry_while_store_is_down(lambda: self._tiles.read_page_outcomes(row))
        check_any_page(outcomes)
        evidence: frozenset[int] | None = None
        if row.input.find:
            answer = EngineAnswer(join_outcomes("", outcomes))
            evidence = frozenset(n for n, one in enumerate(outcomes) if one.objects)
        elif is_reading(row.input):
            answer = self._join(job, outcomes)
        else:
            reduced = reduce_answers(job, self._info, outcomes, DOCUMENT, row.pages)
            answer, evidence = reduced.answer, reduced.evidence
        drafts = job.retry_while_store_is_down(lambda: self._tiles.read_drafts(row.id))
        return EngineAnswer(
            add_drafts(answer.completion, drafts),
            answer.used_images,
            (*answer.notices, *page_notices(row.pages, outcomes)),
            paging=PagingResult(
                page_outputs(row.pages, outcomes, evidence),
                partial=any(one.gap for one in outcomes),
                lines=_lines(row, outcomes),
            ),
            read_s=sum(one.read_s for one in outcomes),
            source=_source(outcomes) if row.input.evidence else None,
            objects=tuple(one for outcome in outcomes for one in outcome.objects),
        )

    def _join(self, job: ClaimedJob, outcomes: list[PageOutcome]) -> EngineAnswer:
        row = job.row
        handling: RunningLines = row.input.document.running_lines if row.input.document else "once"
        job.retry_while_store_is_down(lambda: self.stream_text(row.id, handling))
        lines = page_lines(row.pages, outcomes)
        pieces, _ = join_pages(lines, row.pages, 0, len(lines), handling, Seam())
        return EngineAnswer(join_outcomes("".join(pieces), outcomes))


def _lines(row: JobRow, outcomes: list[PageOutcome]) -> tuple[TextLine, ...] | None:
    """Return the lines of all pages; None unless their places are wanted."""
    if row.input.boxes == "none":
        return None
    return tuple(line for one in outcomes for line in one.lines)


def _source(outcomes: list[PageOutcome]) -> ReadSource:
    """Return what stands on the pages; of figures beside a page's own text nothing was read."""
    has_figures = any(one.tiles and one.source is PageSource.TEXT_LAYER for one in outcomes)
    lines = tuple(line for one in outcomes for line in one.lines)
    return ReadSource(lines, complete=not has_figures)


def _page_input(
    job: JobInput, document: DocumentInput, info: DocumentInfo, number: int
) -> JobInput:
    """Return the input of the child job of a page."""
    page = document.with_page(number)
    if info.pages[number - 1].text_doubt == "no_text" and document.text_layer is TextLayer.AUTO:
        # there is no use in looking for its text again
        page = page.model_copy(update={"text_layer": TextLayer.IGNORE})
    return job.model_copy(
        update={"document": page, "before": (), "thread": "", "images": (), "postprocess": ()}
    )

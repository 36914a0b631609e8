"""A job in this worker's hands: how its store, its question and the engine are reached.

The runner and the tiled steps both work through it; it knows neither of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from PIL.Image import Image

from shared.errors import (
    BlobsUnavailable,
    InferenceFailed,
    OutOfMemory,
    ServiceError,
    StoreFault,
    StoreUnavailable,
)
from shared.jobs import FinishReason, JobInput, Notice, Turn, Usage
from shared.store import Store
from worker.engine.api import Completion, Failed, ModelInfo, Timings
from worker.jobs.drafts.references import References
from worker.jobs.leases import JobReleased, Lease, LeaseLost
from worker.jobs.progress import PartsDone, ProgressReporter
from worker.jobs.questions import QuestionBuilder
from worker.jobs.reading import QuestionReader, QuestionReading, ReadText, as_completion
from worker.jobs.results import EngineAnswer
from worker.pipeline import AnswerTicket, Pipeline, Question

_log = logging.getLogger(__name__)

#: Seconds between two checks of cancel, lease and shutdown while no token comes.
_POLL_S = 0.05
#: Seconds between two calls of a store that is down, and for how long it is called again; after
#: that the lease decides.
_RETRY_S = 0.5
_PATIENCE_S = 600.0
#: The same of the blob store, after which the job goes back to the queue, and for how long others
#: have its place then.
_BLOBS_PATIENCE_S = 2.0
_BLOBS_PAUSE_S = 5.0

#: Ends of an answer for which nobody waits any more.
_INTERRUPTED = (FinishReason.CANCELED, FinishReason.DEADLINE)

T = TypeVar("T")


class _Interrupted(Exception):
    """The job ended before the second reader did."""

    def __init__(self, reason: FinishReason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class JobResources:
    """What all claimed jobs of a worker share."""

    store: Store
    questions: QuestionBuilder
    pipeline: Pipeline
    #: Tells whether the process is stopping and jobs must go back to the queue.
    must_release: Callable[[], bool]
    #: None where the second reader is not installed.
    reader: QuestionReader | None = None
    #: None where answers are not guessed ahead.
    references: References | None = None


class ClaimedJob:
    """One attempt at a job, under its lease."""

    def __init__(self, lease: Lease, resources: JobResources) -> None:
        self.lease = lease
        self.claim = lease.claim
        #: The job's row as it was claimed.
        self.row = lease.claim.row
        self._resources = resources

    @property
    def model(self) -> ModelInfo:
        """Return what is known of the model that is loaded."""
        return self._resources.pipeline.engine.info

    def retry_while_store_is_down(self, call: Callable[[], T]) -> T:
        """Return the result of `call`, which is repeated while a store does not answer.

        Raises LeaseLost when Redis is silent for too long, or the job is lost or must be released
        meanwhile, and StoreFault at once: that would not pass. Raises JobReleased when the blob
        store is: the job waits in the queue, and this start does not count.
        """
        began = time.monotonic()
        until = began + _PATIENCE_S
        while True:
            try:
                return call()
            except StoreFault:
                raise
            except BlobsUnavailable:
                self._check_worker()
                if self.lease.canceled or time.monotonic() > began + _BLOBS_PATIENCE_S:
                    raise JobReleased(_BLOBS_PAUSE_S) from None
                time.sleep(_RETRY_S)
            except StoreUnavailable:
                if self.lease.lost or self._resources.must_release() or time.monotonic() > until:
                    raise LeaseLost from None
                time.sleep(_RETRY_S)

    def read_turns(self) -> list[Turn]:
        """Return the earlier turns of the job's session, oldest first; raises LeaseLost."""
        return self.retry_while_store_is_down(
            lambda: self._resources.questions.read_turns(self.row)
        )

    def build_question(
        self, job: JobInput, pictures: Mapping[str, Image] | None = None
    ) -> Question:
        """Return the question of `job` with its images and conversation.

        `pictures` are images that are not stored, by the ids that `job` gives them. Raises
        ImageGone and LeaseLost.
        """
        turns = self.read_turns()
        return self.retry_while_store_is_down(
            lambda: self._resources.questions.build(self.claim, job, turns, pictures or {})
        )

    def answer(
        self, question: Question, *, parts: PartsDone | None = None, percent: int = 0
    ) -> EngineAnswer:
        """Return the answer of whatever is to read its images; raises as `run_engine`."""
        if not question.job.needs_reader or question.job.encode_only:
            return self.run_engine(question, parts=parts, percent=percent)
        reader = self._resources.reader
        if reader is None:
            # the claim leaves such jobs to others
            raise InferenceFailed("This worker has no second reader.")
        if question.job.reader == "second":
            return self._read_alone(question, reader)
        return self._read_beside(question, reader, parts=parts, percent=percent)

    def _read_alone(self, question: Question, reader: QuestionReader) -> EngineAnswer:
        """Return the second reader's answer."""
        ends_at = time.monotonic() + question.time_left_s

        def check() -> None:
            self._check_worker()
            if self.lease.canceled:
                raise _Interrupted(FinishReason.CANCELED)
            if time.monotonic() > ends_at:
                raise _Interrupted(FinishReason.DEADLINE)

        try:
            read = reader.finish(reader.start(question, beside=False), check)
        except _Interrupted as interruption:
            return EngineAnswer(Completion("", interruption.reason, Usage(), Timings()))
        return EngineAnswer(
            as_completion(read, question),
            notices=(*question.notices, *read.notices),
            read_s=read.seconds,
            seen=read.seen(question.job),
        )

    def _read_beside(
        self,
        question: Question,
        reader: QuestionReader,
        *,
        parts: PartsDone | None,
        percent: int,
    ) -> EngineAnswer:
        """Return the model's answer, and what the second reader has read meanwhile."""
        reading = reader.start(question, beside=True)
        try:
            answer = self.run_engine(question, parts=parts, percent=percent, reading=reading)
            if answer.completion.finish_reason in _INTERRUPTED:
                return answer
            read = reader.finish(reading, self._check_worker)
        finally:
            reading.stop()
        return _with_reading(answer, question, read)

    def run_engine(
        self,
        question: Question,
        *,
        parts: PartsDone | None = None,
        percent: int = 0,
        silent: bool = False,
        reading: QuestionReading | None = None,
    ) -> EngineAnswer:
        """Return the engine's answer; its text is published as it comes, unless `silent`.

        `percent` of the job, and all of its `parts`, were done before. A `reading` beside it makes
        the answer faster once it is there. Raises ServiceError, LeaseLost and JobReleased.
        """
        ticket, notices = self._start(question)
        reporter = ProgressReporter(
            self._resources.store,
            self.lease,
            question.job.params.max_new_tokens,
            parts=parts,
            percent=percent,
            silent=silent,
        )
        try:
            completion = self._follow(ticket, reporter, reading)
        except BaseException:
            ticket.cancel()
            raise
        self._keep(question, completion)
        return EngineAnswer(completion, reporter.used_images, tuple(notices))

    def answer_together(self, questions: Sequence[Question]) -> list[EngineAnswer]:
        """Return the answers to several questions as `answer` does, worked on at the same time.

        Nothing of the model's text is published. Raises as `run_engine`; the others are stopped
        then.
        """
        if not any(question.job.needs_reader for question in questions):
            return self.run_together(questions)
        reader = self._resources.reader
        if reader is None or any(question.job.reader == "second" for question in questions):
            return [self.answer(question) for question in questions]
        readings = [reader.start(question, beside=True) for question in questions]
        try:
            answers = self.run_together(questions)
            if any(a.completion.finish_reason in _INTERRUPTED for a in answers):
                return answers
            read = [reader.finish(reading, self._check_worker) for reading in readings]
        finally:
            for reading in readings:
                reading.stop()
        return list(map(_with_reading, answers, questions, read))

    def run_together(self, questions: Sequence[Question]) -> list[EngineAnswer]:
        """Return the engine's answers to several questions, which it works on at the same time.

        Nothing of their text is published. Raises as `run_engine`; the others are stopped then.
        """
        tickets: list[AnswerTicket] = []
        answers = []
        span = 100 / max(1, len(questions))
        try:
            started = [self._start(question) for question in questions]
            tickets = [ticket for ticket, _ in started]
            for number, (ticket, notices) in enumerate(started):
                reporter = ProgressReporter(
                    self._resources.store,
                    self.lease,
                    questions[number].job.params.max_new_tokens,
                    percent=span * number,
                    span=span,
                    silent=True,
                )
                completion = self._follow(ticket, reporter)
                self._keep(questions[number], completion)
                answers.append(EngineAnswer(completion, reporter.used_images, tuple(notices)))
        except BaseException:
            for ticket in tickets:
                ticket.cancel()
            raise
        return answers

    def _start(self, question: Question) -> tuple[AnswerTicket, list[Notice]]:
        """Ask the engine; what is known of similar answers makes this one faster."""
        references = self._resources.references
        if references is not None:
            question = references.add_to(self.claim, question)
        return self._resources.pipeline.start(question)

    def _keep(self, question: Question, completion: Completion) -> None:
        if self._resources.references is not None:
            self._resources.references.keep(self.row, question, completion)

    def _follow(
        self,
        ticket: AnswerTicket,
        reporter: ProgressReporter,
        reading: QuestionReading | None = None,
    ) -> Completion:
        """Report the engine's events until the last one."""
        while True:
            if reading is not None and (text := reading.text) is not None:
                ticket.refer(text)
                reading = None
            event = ticket.get(_POLL_S)
            # first: an engine that died has failed all its tickets
            self._check_interruption(ticket)
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Completion):
                return event
            reporter.take(event)

    def _check_worker(self) -> None:
        """Raise LeaseLost or JobReleased when this worker is to drop the job."""
        if self.lease.lost:
            raise LeaseLost
        if not self.lease.canceled and self._resources.must_release():
            raise JobReleased

    def _check_interruption(self, ticket: AnswerTicket) -> None:
        self._check_worker()
        if self.lease.canceled:
            ticket.cancel()
        if not self._resources.pipeline.engine.alive:
            # not the job's fault: its lease ends with this process, and another one takes it
            raise LeaseLost


def _with_reading(answer: EngineAnswer, question: Question, read: ReadText) -> EngineAnswer:
    """Return the model's answer with what the second reader has read beside it."""
    text = read.text if question.job.reader == "both" else None
    seen = read.seen(question.job)
    return replace(answer, read_s=read.seconds, second_text=text, seen=seen)


@contextmanager
def as_service_errors() -> Iterator[None]:
    """Raise whatever goes wrong inside the block as a ServiceError that ends the job.

    LeaseLost and JobReleased pass unchanged.
    """
    try:
        yield
    except (ServiceError, LeaseLost, JobReleased):
        raise
    except MemoryError:
        raise OutOfMemory from None
    except Exception as error:
        # whatever it was, it is this job's end and not the worker's
        _log.exception("job.crashed")
        raise InferenceFailed(f"{type(error).__name__} while answering.") from error

"""The engine without weights: settable seconds and deterministic answers."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from shared.jobs import FinishReason, Notice, Stage, Usage
from shared.prediction.curves import Curve
from worker.engine.api import (
    Completion,
    Delta,
    EngineRequest,
    ModelInfo,
    Progress,
    Rates,
    Started,
    Thought,
    Ticket,
    Timings,
    UsedImage,
)
from worker.engine.simulated.answers import InventedAnswer, cut_off_notices, invent
from worker.engine.simulated.drafts import WordDrafts

_TOKENS_PER_PIXEL = 1 / 1024
#: Seconds between two looks for a request.
_IDLE_S = 0.05
#: Seconds that a step takes at least.
_STEP_S = 0.001
#: Weight of the newest step in the average batch.
_NEWEST = 0.1


@dataclass(slots=True)
class _Answer:
    """The answer to a request: seconds of its images left, and the pieces written so far."""

    ticket: Ticket
    invented: InventedAnswer
    encode_left_s: float
    prompt_tokens: int
    image_tokens: int
    written: list[str] = field(default_factory=list)
    #: Pieces of the thinking so far.
    thought: int = 0
    submitted: float = field(default_factory=time.monotonic)
    decoding_since: float | None = None
    drafts: WordDrafts = field(init=False)

    def __post_init__(self) -> None:
        self.drafts = WordDrafts(self.ticket.request.references)

    @property
    def text(self) -> str:
        return "".join(self.written)

    @property
    def reasoning(self) -> str | None:
        return "".join(self.invented.thought[: self.thought]) or None

    @property
    def notices(self) -> tuple[Notice, ...]:
        if len(self.written) == len(self.invented.pieces):
            return self.invented.notices
        return cut_off_notices(self.ticket.request.params)


class SimulatedEngine:
    """Encodes one image at a time; each step writes one word for every request, as a batch does."""

    def __init__(
        self,
        image_s: float,
        token_s: float,
        *,
        speculation: bool = True,
        name: str | None = None,
    ) -> None:
        """`image_s` seconds for each image, `token_s` for each step of the batch."""
        self._name = name or "simulated"
        self._speculation = speculation
        self._image_s = image_s
        self._token_s = token_s
        self._answers: list[_Answer] = []
        self._batch = 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="simulated-engine", daemon=True)
        self._thread.start()

    @property
    def info(self) -> ModelInfo:
        """Return that nothing real is loaded."""
        return ModelInfo(
            name=self._name,
            revision="simulated",
            context_tokens=32_768,
            numerics="none",
            arithmetic="none",
            sampling={"temperature": 0.7},
            thinks=True,
            simulated=True,
            engine="simulated",
        )

    @property
    def rates(self) -> Rates:
        """Return the speeds that the engine was made with."""
        return Rates(
            encode_tokens_per_s=1024 / self._image_s if self._image_s else 0.0,
            prefill_tokens_per_s=0.0,
            decode_tokens_per_s=1 / self._token_s if self._token_s else 0.0,
            encode=Curve(fixed=self._image_s),
            step=Curve(fixed=max(self._token_s, _STEP_S)),
            batch_requests=self._batch,
        )

    def forget_rates(self) -> None:
        """Do nothing: they are known."""

    @property
    def alive(self) -> bool:
        """Tell whether the thread works."""
        return self._thread.is_alive()

    def submit(self, request: EngineRequest) -> Ticket:
        """Queue a request; its answer depends on the question only.

        Raises BadConstraint and ConstraintTooComplex.
        """
        ticket = Ticket(request)
        images = [image for message in request.messages for image in message.images]
        used = tuple(
            UsedImage(i.id, i.image.size, int(i.image.width * i.image.height * _TOKENS_PER_PIXEL))
            for i in images
        )
        prompt_tokens = sum(len(m.text.split()) for m in request.messages)
        image_tokens = sum(image.tokens for image in used)
        answer = _Answer(
            ticket,
            invent(request),
            self._image_s * len(images),
            prompt_tokens + image_tokens,
            image_tokens,
        )
        ticket.put(Started(answer.prompt_tokens, used))
        with self._lock:
            self._answers.append(answer)
        return ticket

    def forget(self, marks: frozenset[str]) -> None:
        """Do nothing: it computes nothing from images, and keeps nothing."""

    def close(self) -> None:
        """Stop; unfinished requests end as canceled."""
        self._closed.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._closed.is_set():
            with self._lock:
                answers = list(self._answers)
            if not answers:
                self._closed.wait(_IDLE_S)
                continue
            step_s = max(self._token_s, _STEP_S)
            self._closed.wait(step_s)
            self._batch += _NEWEST * (len(answers) - self._batch)
            self._step(answers, step_s)
        for answer in self._answers:
            self._end(answer, FinishReason.CANCELED)

    def _step(self, answers: list[_Answer], step_s: float) -> None:
        encoding = min(
            (a for a in answers if a.encode_left_s > 0),
            key=lambda a: a.ticket.request.background,
            default=None,
        )
        if encoding:
            encoding.encode_left_s -= step_s
            fraction = 1 - max(0.0, encoding.encode_left_s) / self._total_encode_s(encoding)
            encoding.ticket.put(Progress(Stage.ENCODE, fraction))
        for answer in answers:
            reason = self._advance(answer)
            if reason:
                self._end(answer, reason)
                with self._lock:
                    self._answers.remove(answer)

    def _total_encode_s(self, answer: _Answer) -> float:
        count = sum(len(m.images) for m in answer.ticket.request.messages)
        return max(self._image_s * count, 1e-9)

    def _advance(self, answer: _Answer) -> FinishReason | None:
        if reason := answer.ticket.end_reason:
            return reason
        if answer.encode_left_s > 0:
            return None
        if answer.decoding_since is None:
            answer.decoding_since = time.monotonic()
        if answer.thought < len(answer.invented.thought):
            answer.thought += 1
            piece = answer.invented.thought[answer.thought - 1]
            answer.ticket.put(Thought(piece, answer.thought))
            return None
        if len(answer.written) == len(answer.invented.pieces):
            return FinishReason.LENGTH if answer.invented.limited else FinishReason.STOP
        return self._write(answer)

    def _write(self, answer: _Answer) -> FinishReason | None:
        """Write a piece, and one more for each that was guessed."""
        pieces, drafts = answer.invented.pieces, answer.drafts
        agreed = drafts.check(pieces[len(answer.written) :]) if self._speculation else 0
        reason = None
        for _ in pieces[len(answer.written) : len(answer.written) + agreed + 1]:
            reason = reason or self._write_next(answer)
        return reason

    def _write_next(self, answer: _Answer) -> FinishReason | None:
        piece = answer.invented.pieces[len(answer.written)]
        stop = _first_stop(answer.text + piece, answer.ticket.request.params.stop)
        if stop is not None:
            answer.written = [(answer.text + piece)[:stop]]
            return FinishReason.STOP
        answer.written.append(piece)
        answer.ticket.put(Delta(piece, answer.thought + len(answer.written)))
        return None

    def _end(self, answer: _Answer, reason: FinishReason) -> None:
        now = time.monotonic()
        decoding = answer.decoding_since or now
        answer.ticket.put(
            Completion(
                text=answer.text,
                finish_reason=reason,
                usage=Usage(
                    prompt_tokens=answer.prompt_tokens,
                    completion_tokens=answer.thought + len(answer.written),
                    reasoning_tokens=answer.thought,
                    image_tokens=answer.image_tokens,
                    draft_tokens=answer.drafts.guessed,
                    accepted_tokens=answer.drafts.agreed,
                ),
                timings=Timings(encode_s=decoding - answer.submitted, decode_s=now - decoding),
                notices=answer.notices,
                reasoning=answer.reasoning,
            )
        )


def _first_stop(text: str, stops: tuple[str, ...]) -> int | None:
    """Return where the first of the stop strings begins; None without one."""
    places = [text.find(stop) for stop in stops]
    return min((place for place in places if place >= 0), default=None)

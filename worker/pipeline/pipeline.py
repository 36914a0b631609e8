"""From stored bytes, a question and its history to a request for the engine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.errors import InputTooLong
from shared.jobs import JobInput, Notice, Turn
from worker.engine.api import Engine, EngineRequest, Message, Ticket
from worker.pipeline.images import QuestionImages


@dataclass(frozen=True, slots=True)
class Question:
    """A job as the pipeline needs it."""

    id: str
    job: JobInput
    #: Earlier turns of the session, oldest first.
    history: Sequence[Turn]
    #: Canonical image bytes by image id, of the job and of its history.
    pngs: Mapping[str, bytes]
    #: Image features are shared within it: a tenant.
    feature_scope: str
    #: Keys and values are shared within it: a tenant's session; "" shares nothing.
    scope: str
    time_left_s: float
    #: Others may overtake it.
    background: bool = False


class Pipeline:
    """Turns questions into requests; knows nothing of queues and stores."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def start(self, question: Question) -> tuple[Ticket, list[Notice]]:
        """Submit a question; return its ticket and what was done to make it fit.

        Raises InputTooLong or BadParameters when the model can never answer it.
        """
        history, count = list(question.history), len(question.history)
        deadline = time.monotonic() + question.time_left_s
        pictures = QuestionImages(question.pngs, self.engine.info.letter_height)
        while True:
            request = EngineRequest(
                id=question.id,
                messages=_messages(question, history, pictures),
                params=question.job.params,
                deadline=deadline,
                scope=question.scope,
                feature_scope=question.feature_scope,
                encode_only=question.job.encode_only,
                background=question.background,
            )
            try:
                ticket = self.engine.submit(request)
            except InputTooLong:
                if not history:
                    raise
                question, history = _without_oldest(question, history)
                continue
            enhanced = pictures.notices(question.job.every_image)
            return ticket, [*_told(count - len(history)), *enhanced]


def _messages(
    question: Question, history: Sequence[Turn], pictures: QuestionImages
) -> tuple[Message, ...]:
    messages: list[Message] = []
    for turn in history:
        shown = pictures.shown(turn.images, turn.max_pixels, turn.enhance)
        messages.append(Message("user", turn.prompt, shown))
        messages.append(Message("assistant", turn.text, token_ids=turn.token_ids or None))
    job = question.job
    messages += [
        Message(s.role, s.text, pictures.shown(s.images, s.max_pixels, job.enhance))
        for s in job.before
    ]
    shown = pictures.shown(job.images, job.max_pixels, job.enhance)
    messages.append(Message("user", job.prompt, shown))
    return tuple(messages)


def _without_oldest(question: Question, history: list[Turn]) -> tuple[Question, list[Turn]]:
    """Drop the oldest words, but let its images stand before the next turn's as long as any.

    The last turn's images stand before the question, unless it has its own.
    """
    oldest, rest = history[0], history[1:]
    if not rest and oldest.images and not question.job.images:
        job = question.job.model_copy(
            update={
                "images": oldest.images,
                "max_pixels": oldest.max_pixels,
                "enhance": oldest.enhance,
            }
        )
        return replace(question, job=job), rest
    if rest and oldest.images:
        first = rest[0]
        kept = tuple(i for i in oldest.images if i not in first.images) + first.images
        looks = first if first.images else oldest
        same = {"max_pixels": looks.max_pixels, "enhance": looks.enhance}
        rest = [first.model_copy(update={"images": kept} | same), *rest[1:]]
    return question, rest


def _told(dropped: int) -> list[Notice]:
    if not dropped:
        return []
    turns = "turn was" if dropped == 1 else "turns were"
    detail = f"The oldest {dropped} {turns} left out to fit the context window."
    return [Notice(code="history_dropped", detail=detail)]

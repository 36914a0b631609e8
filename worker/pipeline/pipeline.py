"""Turns a question with its images and history into a request, and submits it to the engine."""

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
    """What a job asks of the model."""

    id: str
    job: JobInput
    #: Earlier turns of the session, oldest first.
    history: Sequence[Turn]
    #: Canonical image bytes by image id, of the job and of its history.
    pngs: Mapping[str, bytes]
    #: Image features are shared within this scope: a tenant.
    feature_scope: str
    #: Keys and values are shared within this scope: a tenant's session; "" shares nothing.
    scope: str
    time_left_s: float
    #: Questions that somebody waits for go first.
    background: bool = False


class Pipeline:
    """Submits questions to the engine; knows nothing of queues and stores."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def start(self, question: Question) -> tuple[Ticket, list[Notice]]:
        """Submit a question; return its ticket and notices of what was done to its input.

        The oldest turns are dropped until it fits. Raises InputTooLong or BadParameters when the
        model can never answer it, and InferenceFailed for a damaged image.
        """
        history, turns = list(question.history), len(question.history)
        deadline = time.monotonic() + question.time_left_s
        images = QuestionImages(question.pngs, self.engine.info.letter_height)
        while True:
            request = EngineRequest(
                id=question.id,
                messages=_messages(question, history, images),
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
                question, history = _drop_oldest(question, history)
                continue
            enhancements = images.notices(question.job.every_image)
            return ticket, [*_dropped_notice(turns - len(history)), *enhancements]


def _messages(
    question: Question, history: Sequence[Turn], images: QuestionImages
) -> tuple[Message, ...]:
    messages: list[Message] = []
    for turn in history:
        shown = images.inputs(turn.images, turn.max_pixels, turn.enhance)
        messages.append(Message("user", turn.prompt, shown))
        messages.append(Message("assistant", turn.text, token_ids=turn.token_ids or None))
    job = question.job
    messages += [
        Message(m.role, m.text, images.inputs(m.images, m.max_pixels, job.enhance))
        for m in job.before
    ]
    shown = images.inputs(job.images, job.max_pixels, job.enhance)
    messages.append(Message("user", job.prompt, shown))
    return tuple(messages)


def _drop_oldest(question: Question, history: list[Turn]) -> tuple[Question, list[Turn]]:
    """Drop the text of the oldest turn; its images move to the next turn.

    Those of the last turn move to the question, unless it has its own.
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
        moved = tuple(i for i in oldest.images if i not in first.images) + first.images
        looks = first if first.images else oldest
        same = {"max_pixels": looks.max_pixels, "enhance": looks.enhance}
        rest = [first.model_copy(update={"images": moved} | same), *rest[1:]]
    return question, rest


def _dropped_notice(dropped: int) -> list[Notice]:
    if not dropped:
        return []
    turns = "turn was" if dropped == 1 else "turns were"
    detail = f"The oldest {dropped} {turns} dropped to fit the context window."
    return [Notice(code="history_dropped", detail=detail)]

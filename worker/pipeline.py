"""From stored bytes, a question and its history to a request for the engine."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from shared.errors import InferenceFailed, InputTooLong
from shared.jobs import JobInput, Notice, Turn
from worker.engine.api import Engine, EngineRequest, ImageInput, Message, Ticket


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
        history = list(question.history)
        deadline = time.monotonic() + question.time_left_s
        while True:
            request = EngineRequest(
                id=question.id,
                messages=_messages(question, history),
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
                history = _without_oldest(history)
                continue
            return ticket, _told(len(question.history) - len(history))


def _messages(question: Question, history: Sequence[Turn]) -> tuple[Message, ...]:
    opened = {image_id: open_png(png) for image_id, png in question.pngs.items()}

    def images(ids: Sequence[str], max_pixels: int) -> tuple[ImageInput, ...]:
        return tuple(ImageInput(i, opened[i], max_pixels) for i in ids)

    messages: list[Message] = []
    for turn in history:
        messages.append(Message("user", turn.prompt, images(turn.images, turn.max_pixels)))
        messages.append(Message("assistant", turn.text, token_ids=turn.token_ids or None))
    job = question.job
    messages += [Message(s.role, s.text, images(s.images, s.max_pixels)) for s in job.before]
    messages.append(Message("user", job.prompt, images(job.images, job.max_pixels)))
    return tuple(messages)


def _without_oldest(history: list[Turn]) -> list[Turn]:
    """Drop the oldest words, but let its images stand before the next turn's as long as any."""
    oldest, rest = history[0], history[1:]
    if rest and oldest.images:
        first = rest[0]
        kept = tuple(i for i in oldest.images if i not in first.images) + first.images
        rest = [first.model_copy(update={"images": kept}), *rest[1:]]
    return rest


def _told(dropped: int) -> list[Notice]:
    if not dropped:
        return []
    turns = "turn was" if dropped == 1 else "turns were"
    detail = f"The oldest {dropped} {turns} left out to fit the context window."
    return [Notice(code="history_dropped", detail=detail)]


def open_png(png: bytes) -> Image.Image:
    """Return the canonical image; our own PNG, so a failure is ours too."""
    try:
        image = Image.open(io.BytesIO(png), formats=["PNG"])
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise InferenceFailed("Image decode failed: the stored image is damaged.") from error
    return image

"""Turns a question with its images and history into a request, and submits it to the engine."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from PIL.Image import Image, Resampling

from shared.errors import InputTooLong
from shared.jobs import JobInput, Notice, Turn
from shared.jobs.history import drop_oldest_question
from shared.prediction.tile_plan import CUT_FROM
from worker.engine.api import (
    Engine,
    EngineRequest,
    Event,
    ImageInput,
    Message,
    Reference,
    Ticket,
)
from worker.pipeline.images import QuestionImages
from worker.pipeline.looks import shrink_letters, tight_look
from worker.pipeline.strips import StripTicket
from worker.tiling.strips import TextFinder, cut_strips

#: Earlier answers that the next one may repeat.
_LATEST = 2
#: Of a chat's text that is dropped at a time: each time all of it is read anew.
_DROPPED_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Question:
    """What a job asks of the model."""

    id: str
    job: JobInput
    #: Earlier turns of the session, oldest first.
    history: Sequence[Turn]
    #: Canonical images by id, as PNG or opened, of the job and of its history.
    pngs: Mapping[str, bytes | Image]
    #: Image features are shared within this scope: a tenant.
    feature_scope: str
    #: Keys and values are shared within this scope: a tenant's session; "" shares nothing.
    scope: str
    time_left_s: float
    #: Questions that somebody waits for go first.
    background: bool = False
    #: Texts that the answer may follow, beside the job's own; they make it faster.
    references: tuple[Reference, ...] = ()
    #: It asks for the text of its one image, so that parts of this may be read by themselves.
    reads: bool = False
    #: Tokens of the whole answer, where its parts may not have as many each.
    most_tokens: int | None = None
    #: What was done to it before it came here.
    notices: tuple[Notice, ...] = ()
    #: Names of what was done to images, by id: their features are not those of the stored image.
    variants: Mapping[str, str] = field(default_factory=dict)
    #: The stored file of each image that was drawn from one: a document, by the image's id.
    file_ids: Mapping[str, str] = field(default_factory=dict)


class AnswerTicket(Protocol):
    """The queue of one answer's events, whether of one request or of several."""

    def get(self, timeout_s: float) -> Event | None:
        """Return the next event, or None when none came in time."""

    def refer(self, reference: Reference) -> None:
        """Add what the answer may follow while it is written."""

    def cancel(self) -> None:
        """Ask the engine to stop."""


class Pipeline:
    """Submits questions to the engine; knows nothing of queues and stores."""

    def __init__(
        self, engine: Engine, *, slots: int = 1, find_text: TextFinder | None = None
    ) -> None:
        """`slots` requests run at once; `find_text` sees where text is, better than ink tells."""
        self.engine = engine
        self._at_once = max(1, slots - 1)
        self._find_text = find_text

    def start(self, question: Question) -> tuple[AnswerTicket, list[Notice]]:
        """Submit a question; return its ticket and notices of what was done to its input.

        The oldest turns and messages are dropped until it fits. Raises InputTooLong or
        BadParameters when the model can never answer it, and InferenceFailed for a damaged image.
        """
        asked, deadline = question, time.monotonic() + question.time_left_s
        info = self.engine.info
        images = QuestionImages(
            question.pngs,
            info.letter_height,
            info.tallest_letters,
            variants=question.variants,
            file_ids=question.file_ids,
        )
        strips = self._start_strips(question, images, deadline)
        if strips is not None:
            enhancements = images.notices(question.job.every_image)
            return strips, [*question.notices, *enhancements]
        if question.reads and not question.scope:
            # a conversation goes on about the image as it is, and finds what is computed of that
            (image_id,), job = question.job.images, question.job
            images.leave_out_blanks(image_id, job.max_pixels, job.enhance, self.engine.info)
        while True:
            try:
                ticket = self.engine.submit(_request(question, images, deadline))
            except InputTooLong:
                fewer = None if question.job.keep_all else _drop_oldest(question)
                if fewer is None:
                    raise
                question = fewer
            else:
                enhancements = images.notices(question.job.every_image)
                dropped = _dropped_notices(asked, question)
                return ticket, [*question.notices, *dropped, *enhancements]

    def _start_strips(
        self, question: Question, images: QuestionImages, deadline: float
    ) -> StripTicket | None:
        """Begin to read an image in strips; None where the model reads it well in one look."""
        job, letters = question.job, self.engine.info.letters_at_once
        # a stop string would end a strip and not the answer
        if letters is None or not question.reads or job.params.stop:
            return None
        (source,) = images.inputs(job.images, job.max_pixels, job.enhance)
        source = _within_budget(source)
        strips = cut_strips(source.image, letters, self._find_text)
        if len(strips) == 1 and len(strips[0].rows) <= 1:
            return None
        alone = replace(question, history=(), scope="", job=job.model_copy(update={"before": ()}))
        request = _request(alone, images, deadline)

        def ask(image: ImageInput, tokens: int, background: bool) -> Ticket:
            if job.enhance == "auto":
                image = shrink_letters(image, self.engine.info)
            params = job.params.model_copy(update={"max_new_tokens": tokens})
            message = Message("user", job.prompt, (image,))
            return self.engine.submit(
                replace(
                    request,
                    messages=(message,),
                    params=params,
                    background=background or question.background,
                    references=tuple(_references(question)),
                )
            )

        return StripTicket(
            source,
            strips,
            ask,
            at_once=self._at_once,
            max_new_tokens=job.params.max_new_tokens,
            most_tokens=question.most_tokens,
            look=tight_look,
        )


def _within_budget(source: ImageInput) -> ImageInput:
    """Scale an image down that is to be seen in one budget, though it has many more pixels."""
    width, height = source.image.size
    scale = math.sqrt(source.max_pixels / (width * height))
    if scale * scale * CUT_FROM >= 1:
        return source
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = source.image.resize(size, Resampling.BICUBIC)
    return replace(source, image=scaled, variant=f"{source.variant}@{size[0]}x{size[1]}")


def _request(question: Question, images: QuestionImages, deadline: float) -> EngineRequest:
    return EngineRequest(
        id=question.id,
        messages=_messages(question, question.history, images),
        params=question.job.params,
        deadline=deadline,
        scope=question.scope,
        feature_scope=question.feature_scope,
        encode_only=question.job.encode_only,
        background=question.background,
        references=tuple(_references(question)),
    )


def _references(question: Question) -> Iterator[Reference]:
    """Yield what the answer may follow: given texts, and the latest answers before it."""
    if question.job.reference:
        yield question.job.reference
    yield from question.references
    for turn in question.history[-_LATEST:]:
        if turn.has_answer:
            yield turn.token_ids or turn.text
    spoken = [message.text for message in question.job.before if message.role == "assistant"]
    yield from spoken[-_LATEST:]


def _messages(
    question: Question, history: Sequence[Turn], images: QuestionImages
) -> tuple[Message, ...]:
    messages: list[Message] = []
    for turn in history:
        shown = images.inputs(turn.images, turn.max_pixels, turn.enhance)
        if turn.has_question:
            messages.append(Message(turn.role, turn.prompt, shown, image_places=turn.image_places))
        if turn.has_answer:
            messages.append(Message("assistant", turn.text, token_ids=turn.token_ids or None))
    job = question.job
    for said in job.before:
        shown = images.inputs(said.images, said.max_pixels, job.enhance)
        messages.append(Message(said.role, said.text, shown, image_places=said.image_places))
    shown = images.inputs(job.images, job.max_pixels, job.enhance)
    messages.append(Message("user", job.prompt, shown, image_places=job.image_places))
    return tuple(messages)


def _drop_oldest(question: Question) -> Question | None:
    """Drop the oldest turn of a session, else the oldest messages of a chat; None without any."""
    if question.history:
        return _drop_oldest_turn(question)
    kept = drop_oldest_question(question.job.before, _DROPPED_SHARE)
    if kept is None:
        return None
    return replace(question, job=question.job.model_copy(update={"before": tuple(kept)}))


def _drop_oldest_turn(question: Question) -> Question:
    """Drop the text of the oldest turn; its images move to the next question.

    Those of the last one move to the job's, unless it has its own. Words of the system go last.
    """
    turns = list(question.history)
    oldest = turns.pop(next((at for at, turn in enumerate(turns) if turn.role == "user"), 0))
    heirs = (at for at, turn in enumerate(turns) if turn.has_question and turn.role == "user")
    heir = next(heirs, None)
    if not oldest.images:
        return replace(question, history=turns)
    if heir is not None:
        turns[heir] = _inherit_images(turns[heir], oldest)
    elif not question.job.images:
        looks = {"max_pixels": oldest.max_pixels, "enhance": oldest.enhance}
        job = question.job.model_copy(update={"images": oldest.images} | looks)
        return replace(question, job=job, history=turns)
    return replace(question, history=turns)


def _inherit_images(heir: Turn, oldest: Turn) -> Turn:
    added = tuple(i for i in oldest.images if i not in heir.images)
    changed: dict[str, object] = {"images": added + heir.images}
    if heir.image_places:
        changed["image_places"] = (0,) * len(added) + heir.image_places
    if not heir.images:
        changed |= {"max_pixels": oldest.max_pixels, "enhance": oldest.enhance}
    return heir.model_copy(update=changed)


def _dropped_notices(asked: Question, answered: Question) -> list[Notice]:
    return [
        *_dropped_notice(len(asked.history) - len(answered.history), "turn"),
        *_dropped_notice(len(asked.job.before) - len(answered.job.before), "message"),
    ]


def _dropped_notice(dropped: int, name: str) -> list[Notice]:
    if not dropped:
        return []
    names = f"{name} was" if dropped == 1 else f"{name}s were"
    detail = f"The oldest {dropped} {names} dropped to fit the context window."
    return [Notice(code="history_dropped", detail=detail)]

"""The conversation that a response goes on with: what earlier responses were asked and answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.auth import require_scope
from gateway.services import Services
from gateway.submission.chats.message import ChatTurn, NamedImage, Role
from shared.errors import BadParameters, Erased, NotFound
from shared.excerpt import excerpt
from shared.jobs import ConversationMessage, ImagePlaces, JobInput, Turn
from shared.jobs.document import DocumentInput
from shared.jobs.response_api import job_id_of
from shared.jobs.row import JobRow

_POINTER = "/previous_response_id"


@dataclass(frozen=True, slots=True)
class Chain:
    """Earlier messages, oldest first, and the name of the conversation; empty for a new one."""

    turns: Sequence[ChatTurn] = ()
    thread: str = ""
    #: What the last question was about, if that was a document.
    document: DocumentInput | None = None


def read_chain(previous_id: str | None, services: Services, tenant: str) -> Chain:
    """Return what a response goes on with; several may go on with the same one.

    Raises BadParameters for a response without an answer, InsufficientScope, NotFound and
    StoreUnavailable.
    """
    if previous_id is None:
        return Chain()
    require_scope("read")
    row = _read_row(previous_id, services, tenant)
    if row.output is None or not row.status.terminal:
        raise BadParameters(f"{previous_id} has no answer to go on with.", pointer=_POINTER)
    return Chain(_turns_until(row, services), row.input.thread, row.input.document)


def _read_row(previous_id: str, services: Services, tenant: str) -> JobRow:
    missing = NotFound(
        f"There is no response {excerpt(previous_id)} to go on with.", pointer=_POINTER
    )
    try:
        row = services.store.get(job_id_of(previous_id), tenant)
    except (NotFound, Erased):
        raise missing from None
    if row.response is None or not row.response.store:
        raise missing
    return row


def _turns_until(row: JobRow, services: Services) -> list[ChatTurn]:
    """Return all that was said up to the answer of a response, without its instructions."""
    job = row.input
    # the session may have gone on since
    earlier = [
        turn
        for turn in services.sessions.turns_before(row)
        if turn.created_ms < row.created_ms and turn.job_id != row.id
    ]
    turns = [part for turn in earlier for part in _session_turn(turn)]
    instructed = row.response is not None and row.response.instructions is not None
    turns += [_message_turn(message) for message in job.before[1 if instructed else 0 :]]
    turns.append(_question(job))
    answer = row.streamed_text or (row.output or {})["text"]
    turns.append(_turn("assistant", answer))
    return turns


def _question(job: JobInput) -> ChatTurn:
    if job.document:
        return _turn("user", job.prompt, (job.document.id,), job.max_pixels)
    return _turn("user", job.prompt, job.images, job.max_pixels, job.image_places)


def _session_turn(turn: Turn) -> list[ChatTurn]:
    answer = [_turn("assistant", turn.text)] if turn.has_answer else []
    return [*_asked(turn), *answer]


def _asked(turn: Turn) -> list[ChatTurn]:
    if not turn.has_question:
        return []
    if turn.document:
        return [_turn("user", turn.prompt, (turn.document.id,), turn.max_pixels)]
    return [_turn(turn.role, turn.prompt, turn.images, turn.max_pixels, turn.image_places)]


def _message_turn(message: ConversationMessage) -> ChatTurn:
    return _turn(
        message.role, message.text, message.images, message.max_pixels, message.image_places
    )


def _turn(
    role: Role,
    text: str,
    images: Sequence[str] = (),
    max_pixels: int = 0,
    image_places: ImagePlaces = (),
) -> ChatTurn:
    named = tuple(NamedImage(image, _POINTER) for image in images)
    return ChatTurn(role, text, named, max_pixels, image_places)

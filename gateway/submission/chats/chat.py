"""A chat in any of OpenAI's forms as a submission: its last message, and the messages before it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.large_input import sha256_hex
from gateway.submission.chats.history import ChatRoom, check_last_turn, keep_latest
from gateway.submission.chats.message import ChatTurn
from gateway.submission.chats.parameters import OwnParameters, answer_fields, sampling_fields
from gateway.submission.chats.thinking import can_think, effort_fields
from gateway.submission.fields.submission import Submission
from gateway.submission.request import validate_fields
from shared.errors import BadParameters, InputTooLong
from shared.jobs import DETAIL_PIXELS, MinP, Penalty, RepetitionPenalty, Temperature, TopK
from shared.jobs.parameters.route import MAX_MODEL_CHARS
from shared.jobs.response_api import ResponseFields
from shared.jobs.row import dump
from shared.prediction.heartbeat import Heartbeat
from shared.settings import Settings


class ChatSubmission(Submission):
    """A chat's last message as a submission, whose images may be all that it says."""

    prompt: str | None = None


class AnswerRequest(BaseModel, ABC):
    """What all of OpenAI's requests for an answer have in common; others are our own."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(
        None,
        max_length=MAX_MODEL_CHARS,
        description="An ID from `/v1/models`, or another name of the operator's for one; "
        "`sightline` is the default model.",
    )
    stream: bool | None = False
    temperature: Temperature | None = Field(
        None, description="Above 0 the answer is sampled; the default is greedy decoding."
    )
    top_p: float | None = Field(
        None, ge=0, le=1, description="As temperature; each alone leaves the other to the model."
    )
    top_k: TopK | None = None
    min_p: MinP | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: RepetitionPenalty | None = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    metadata: dict[str, Any] | None = None

    @property
    @abstractmethod
    def answer_tokens(self) -> tuple[str, int | None]:
        """Return the parameter that bounds the answer, and its value."""

    @property
    @abstractmethod
    def answer_format(self) -> dict[str, Any] | None:
        """Return our `response_format`."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A checked chat: the earlier messages, and the last one as a submission."""

    before: tuple[ChatTurn, ...]
    last: ChatTurn
    submission: Submission
    #: The same for all requests of one conversation.
    thread: str
    #: Messages for which there is no room.
    left_out: int = 0
    #: What was ignored or changed, as `{"code": …, "detail": …}`.
    notices: tuple[dict[str, str], ...] = ()
    #: Of the Responses API.
    response: ResponseFields | None = None


@dataclass(frozen=True, slots=True)
class ChatRules:
    """What decides about the messages of a chat beside the messages."""

    settings: Settings
    #: Those that serve its model.
    workers: Sequence[Heartbeat]
    #: The member of the body that has the messages.
    pointer: str
    #: Messages before those of the request.
    earlier: int = 0
    #: Refuse a chat that does not fit as a whole.
    whole: bool = False


def assemble_chat(
    turns: Sequence[ChatTurn],
    asked: AnswerRequest,
    own: OwnParameters,
    rules: ChatRules,
    thread: str = "",
) -> Chat:
    """Return the chat of these messages; of the earlier ones those stay that models can read.

    `thread` names a conversation that it goes on with. Raises BadParameters, InputTooLong.
    """
    ordered = _end_with_question(turns, own, rules)
    check_last_turn(ordered[-1], rules.settings, rules.pointer)
    submission = _build_submission(asked, own, ordered[-1], rules)
    room = ChatRoom.of(rules.settings, rules.workers)
    kept, left_out = keep_latest(ordered, room, rules.pointer)
    if left_out and rules.whole:
        raise InputTooLong(
            f"Input too long: there is no room for {left_out} of {len(ordered)} messages.",
            pointer=rules.pointer,
        )
    return Chat(
        before=tuple(kept[:-1]),
        last=kept[-1],
        submission=submission,
        thread=thread or _thread_name(ordered),
        left_out=left_out,
        notices=tuple(own.notices),
    )


def _end_with_question(
    turns: Sequence[ChatTurn], own: OwnParameters, rules: ChatRules
) -> list[ChatTurn]:
    """Put what the system says after the question before it."""
    last = max((at for at, turn in enumerate(turns) if turn.role != "system"), default=-1)
    pointer = rules.pointer
    if last < rules.earlier:
        raise BadParameters("One message must be of the role user.", pointer=pointer)
    if turns[last].role != "user":
        at = f"{pointer}/{last - rules.earlier}/role"
        raise BadParameters("The last message must be of the role user.", pointer=at)
    if last < len(turns) - 1:
        detail = "System messages after the last question were moved before it."
        own.tell("message_moved", detail, pointer)
    return [*turns[:last], *turns[last + 1 :], turns[last]]


def _build_submission(
    asked: AnswerRequest, own: OwnParameters, last: ChatTurn, rules: ChatRules
) -> Submission:
    most, thinks = rules.settings.answer_max_tokens, can_think(rules.workers)
    if own.effort not in (None, "none") and rules.workers and not thinks:
        detail = f"The effort {own.effort!r} has no effect: no running model can think."
        own.tell("parameter_ignored", detail, "/reasoning_effort")
    effort = effort_fields(own.effort, rules.workers, most)
    fields = effort | own.values | sampling_fields(asked)
    name, tokens = asked.answer_tokens
    fields |= answer_fields(name, tokens, own, most, thinks=thinks)
    fields["prompt"] = _prompt(last, own, rules.pointer)
    if last.max_pixels != DETAIL_PIXELS["auto"]:
        # without a named budget long images are cut into tiles
        fields["max_pixels"] = last.max_pixels
    if asked.stop:
        fields["stop"] = asked.stop
    if asked.answer_format is not None:
        fields["response_format"] = asked.answer_format
    fields["metadata"] = asked.metadata or {}
    fields["model"] = asked.model
    submission = validate_fields(fields, ChatSubmission)
    from_fleet = {*effort, "max_total_tokens"} - own.values.keys()
    submission.note_from_fleet(from_fleet, own.effort)
    submission.leave_open(name for name in ("temperature", "top_p") if getattr(asked, name) is None)
    return submission


def _prompt(last: ChatTurn, own: OwnParameters, pointer: str) -> str | None:
    """Return the question; an image may be all of it. None leaves it to the preset."""
    if last.text or "preset" in own.values:
        return last.text or None
    if not last.images:
        raise BadParameters("The last message has neither text nor images.", pointer=pointer)
    return ""


def _thread_name(turns: Sequence[ChatTurn]) -> str:
    """Return a hash of all messages up to the first question, as the conversation's name."""
    first = next(n for n, turn in enumerate(turns) if turn.role == "user")
    opening = [
        [t.role, t.text, [sha256_hex(image.text.encode()) for image in t.images]]
        for t in turns[: first + 1]
    ]
    return sha256_hex(dump(opening).encode())[:32]

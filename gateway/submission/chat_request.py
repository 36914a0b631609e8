"""OpenAI's chat request: its messages and parameters, checked and turned into a submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.http.problems import from_validation
from gateway.large_input import sha256_hex
from gateway.submission.body import is_json, parse_json_object
from gateway.submission.chat_history import ChatRoom, check_last_turn, keep_latest
from gateway.submission.chat_message import ChatMessage, ChatTurn, chat_turn
from gateway.submission.chat_parameters import (
    OwnParameters,
    answer_fields,
    pick_own_parameters,
    sampling_fields,
)
from gateway.submission.request import Submission, validate_fields
from shared.errors import BadParameters, UnsupportedMediaType
from shared.jobs import DETAIL_PIXELS, MinP, Penalty, RepetitionPenalty, Temperature, TopK
from shared.jobs.row import dump
from shared.prediction.heartbeat import Heartbeat
from shared.settings import Settings

#: Stands for whatever model is loaded.
ANY_MODEL = "sightline"


class StreamOptions(BaseModel):
    """What a stream includes besides the text."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatSubmission(Submission):
    """A chat's last message as a submission, whose images may be all that it says."""

    prompt: str | None = None


class ChatRequest(BaseModel):
    """The body of POST /v1/chat/completions; also takes our own parameters, such as `preset`."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(
        ANY_MODEL,
        max_length=512,
        description="An ID from `/v1/models`, or `sightline` for whichever model is loaded.",
    )
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = Field(
        None, ge=1, lt=2**63, description="Lowered to what the service and the context allow."
    )
    max_tokens: int | None = Field(None, ge=1, lt=2**63, description="The same by its older name.")
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
    response_format: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None

    @property
    def with_usage(self) -> bool:
        """Tell whether a stream shall end with the usage."""
        return self.stream_options is not None and self.stream_options.include_usage


@dataclass(frozen=True, slots=True)
class Chat:
    """A checked chat: the earlier messages, and the last one as a submission."""

    request: ChatRequest
    before: tuple[ChatTurn, ...]
    last: ChatTurn
    submission: Submission
    #: The same for all requests of one conversation.
    thread: str
    #: Messages for which there is no room.
    left_out: int = 0
    #: What was ignored or changed, as `{"code": …, "detail": …}`.
    notices: tuple[dict[str, str], ...] = ()


def receive_chat(request: Request, settings: Settings, workers: Sequence[Heartbeat]) -> Chat:
    """Parse a chat request; of its earlier messages those stay that the workers' models can read.

    Raises InvalidJson, UnsupportedMediaType, BadParameters, InputTooLong.
    """
    if not is_json(request):
        raise UnsupportedMediaType
    body = parse_json_object(request)
    try:
        asked = ChatRequest.model_validate(body)
    except ValidationError as error:
        raise from_validation(error) from None
    own = pick_own_parameters(asked.model_extra or {})
    turns = [chat_turn(n, message, own.max_pixels) for n, message in enumerate(asked.messages)]
    turns = _end_with_question(turns, own)
    check_last_turn(turns[-1], len(turns) - 1, settings)
    submission = _build_submission(asked, own, turns[-1], settings)
    kept, left_out = keep_latest(turns, ChatRoom.of(settings, workers))
    return Chat(
        request=asked,
        before=tuple(kept[:-1]),
        last=kept[-1],
        submission=submission,
        thread=_thread_name(turns),
        left_out=left_out,
        notices=tuple(own.notices),
    )


def _end_with_question(turns: list[ChatTurn], own: OwnParameters) -> list[ChatTurn]:
    """Put what the system says after the question before it."""
    last = max((at for at, turn in enumerate(turns) if turn.role != "system"), default=-1)
    if last < 0:
        raise BadParameters("One message must be of the role user.", pointer="/messages")
    if last < len(turns) - 1:
        detail = "What the system says after the last question was put before it."
        own.tell("message_moved", detail, f"/messages/{last + 1}/role")
    return [*turns[:last], *turns[last + 1 :], turns[last]]


def _build_submission(
    asked: ChatRequest, own: OwnParameters, last: ChatTurn, settings: Settings
) -> Submission:
    fields = own.values | sampling_fields(asked)
    fields |= answer_fields(asked, own, settings.answer_max_tokens)
    fields["prompt"] = _prompt(last, own)
    if last.max_pixels != DETAIL_PIXELS["auto"]:
        # without a named budget long images are cut into tiles
        fields["max_pixels"] = last.max_pixels
    if asked.stop:
        fields["stop"] = asked.stop
    if asked.response_format is not None:
        fields["response_format"] = asked.response_format
    fields["metadata"] = asked.metadata or {}
    submission = validate_fields(fields, ChatSubmission)
    submission.leave_open(name for name in ("temperature", "top_p") if getattr(asked, name) is None)
    return submission


def _prompt(last: ChatTurn, own: OwnParameters) -> str | None:
    """Return the question; an image may be all of it. None leaves it to the preset."""
    if last.text or "preset" in own.values:
        return last.text or None
    if not last.images:
        raise BadParameters("The last message has neither text nor images.", pointer="/messages")
    return ""


def _thread_name(turns: list[ChatTurn]) -> str:
    """Return a hash of all messages up to the first question, as the conversation's name."""
    first = next(n for n, turn in enumerate(turns) if turn.role == "user")
    opening = [
        [t.role, t.text, [sha256_hex(image.text.encode()) for image in t.images]]
        for t in turns[: first + 1]
    ]
    return sha256_hex(dump(opening).encode())[:32]

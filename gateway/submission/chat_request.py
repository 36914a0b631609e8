"""OpenAI's chat request: its messages and parameters, checked and turned into a submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from flask import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic import model_validator as check

from gateway.http.problems import from_validation
from gateway.large_input import sha256_hex
from gateway.submission.body import is_json, parse_json_object
from gateway.submission.chat_history import ChatRoom, check_last_turn, keep_latest
from gateway.submission.request import Submission, validate_fields
from shared.errors import BadParameters, UnsupportedMediaType
from shared.excerpt import excerpt
from shared.jobs import (
    DETAIL_PIXELS,
    MaxNewTokens,
    Penalty,
    RepetitionPenalty,
    Temperature,
    TopK,
)
from shared.jobs.row import dump
from shared.prediction.heartbeat import Heartbeat
from shared.settings import Settings

#: Stands for whatever model is loaded.
ANY_MODEL = "sightline"
#: Tokens of an answer when the caller names no bound; OpenAI has none at all.
_MAX_TOKENS = 512
#: OpenAI's parameters that only describe the caller or change nothing here.
_WITHOUT_EFFECT = frozenset(
    (
        "user",
        "store",
        "service_tier",
        "parallel_tool_calls",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "verbosity",
        "tool_choice",
        "prediction",
    )
)
#: OpenAI's parameters that are accepted with these values only.
_FIXED_VALUES: dict[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "tools": (None, []),
    "functions": (None, []),
    "function_call": (None, "none"),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "web_search_options": (None,),
}
#: Our parameters that a chat sets by its messages or by OpenAI's names.
_SET_BY_CHAT = frozenset(
    ("prompt", "images", "detail", "session_id", "max_new_tokens", "do_sample")
)


def _as_parts(value: Any) -> Any:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


def _as_url(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


class ChatImage(BaseModel):
    """An image's location and pixel budget."""

    url: str = Field(min_length=1, description="A data: URI, an http(s) URL or an `img_…` id.")
    detail: Literal["auto", "low", "high"] = "auto"


class ChatPart(BaseModel):
    """A part of a message."""

    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: Annotated[ChatImage | None, BeforeValidator(_as_url)] = None

    @check(mode="after")
    def _has_what_it_names(self) -> Self:
        if getattr(self, self.type) is None:
            raise ValueError(f"a part of type {self.type} needs {self.type}")
        return self


class ChatMessage(BaseModel):
    """One message; other members of OpenAI's messages are ignored."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[list[ChatPart], BeforeValidator(_as_parts)] = Field(
        description="Text, or text and image parts. Images must come before the text."
    )
    tool_calls: list[Any] | None = Field(None, max_length=0)

    @check(mode="after")
    def _only_users_show_images(self) -> Self:
        if self.role != "user" and self.images:
            raise ValueError("only messages with the role user can have images")
        return self

    @property
    def text(self) -> str:
        """Return the text of all parts."""
        return "\n".join(part.text for part in self.content if part.text is not None)

    @property
    def images(self) -> list[tuple[int, ChatImage]]:
        """Return the images and the numbers of their parts."""
        return [(n, p.image_url) for n, p in enumerate(self.content) if p.image_url is not None]


class StreamOptions(BaseModel):
    """What a stream includes besides the text."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """The body of POST /v1/chat/completions; also takes our own parameters, such as `preset`."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(
        ANY_MODEL,
        max_length=512,
        description="An ID from `/v1/models`, or `sightline` for whichever model is loaded.",
    )
    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: MaxNewTokens | None = None
    max_tokens: MaxNewTokens | None = None
    temperature: Temperature | None = Field(
        None, description="Above 0 the answer is sampled; the default is greedy decoding."
    )
    top_p: float | None = Field(
        None, ge=0, le=1, description="As temperature; each alone leaves the other to the model."
    )
    top_k: TopK | None = None
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
class NamedImage:
    """An image as a message names it, and where it does."""

    text: str
    pointer: str


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """A message as the engine knows it; its images are not read yet."""

    role: Literal["system", "user", "assistant"]
    text: str
    images: tuple[NamedImage, ...]
    max_pixels: int


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


def receive_chat(request: Request, settings: Settings, workers: Sequence[Heartbeat]) -> Chat:
    """Parse a chat request; of its earlier messages those stay that the workers' models can read.

    Raises InvalidJson, UnsupportedMediaType, BadParameters, InputTooLong.
    """
    if not is_json(request):
        raise UnsupportedMediaType
    body = parse_json_object(request)
    try:
        chat_request = ChatRequest.model_validate(body)
    except ValidationError as error:
        raise from_validation(error) from None
    own_parameters = _pick_own_parameters(chat_request)
    turns = [
        _chat_turn(n, message, own_parameters) for n, message in enumerate(chat_request.messages)
    ]
    check_last_turn(turns[-1], len(turns) - 1, settings)
    submission = _build_submission(chat_request, own_parameters, turns[-1])
    kept, left_out = keep_latest(turns, ChatRoom.of(settings, workers))
    return Chat(chat_request, tuple(kept[:-1]), kept[-1], submission, _thread_name(turns), left_out)


def _pick_own_parameters(chat_request: ChatRequest) -> dict[str, Any]:
    """Return those of our own parameters that the body has; raises BadParameters for others."""
    own: dict[str, Any] = {}
    for name, value in (chat_request.model_extra or {}).items():
        if name in _FIXED_VALUES:
            if value not in _FIXED_VALUES[name]:
                known = " or ".join(dump(v) for v in _FIXED_VALUES[name])
                raise BadParameters(f"{name}: only {known} is supported.", pointer=f"/{name}")
        elif name in Submission.model_fields and name not in _SET_BY_CHAT:
            own[name] = value
        elif name not in _WITHOUT_EFFECT:
            raise BadParameters(f"Unknown parameter: {excerpt(name)}.", pointer=f"/{excerpt(name)}")
    return own


def _chat_turn(number: int, message: ChatMessage, own: dict[str, Any]) -> ChatTurn:
    budgets = [DETAIL_PIXELS[image.detail] for _, image in message.images]
    max_pixels = own.get("max_pixels")
    if not isinstance(max_pixels, int):
        # a wrong max_pixels is refused with the submission
        max_pixels = max(budgets, default=DETAIL_PIXELS["auto"])
    images = tuple(
        NamedImage(image.url, f"/messages/{number}/content/{part}/image_url/url")
        for part, image in message.images
    )
    return ChatTurn(
        role="system" if message.role == "developer" else message.role,
        text=message.text,
        images=images,
        max_pixels=max_pixels,
    )


def _build_submission(chat_request: ChatRequest, own: dict[str, Any], last: ChatTurn) -> Submission:
    fields = own | _sampling_fields(chat_request)
    # a preset may know better than our default
    tokens = chat_request.max_completion_tokens or chat_request.max_tokens
    if tokens or "preset" not in own:
        fields["max_new_tokens"] = tokens or _MAX_TOKENS
    fields["prompt"] = last.text or None
    if last.max_pixels != DETAIL_PIXELS["auto"]:
        # without a named budget long images are cut into tiles
        fields["max_pixels"] = last.max_pixels
    if chat_request.stop:
        fields["stop"] = chat_request.stop
    if chat_request.response_format is not None:
        fields["response_format"] = chat_request.response_format
    fields["metadata"] = chat_request.metadata or {}
    submission = validate_fields(fields, Submission)
    submission.leave_open(
        name for name in ("temperature", "top_p") if getattr(chat_request, name) is None
    )
    return submission


def _sampling_fields(chat_request: ChatRequest) -> dict[str, Any]:
    """Return our parameters of sampling: none if neither temperature nor top_p asks for it."""
    samples = chat_request.temperature is not None or chat_request.top_p is not None
    temperature = 1.0 if chat_request.temperature is None else chat_request.temperature
    top_p = 1.0 if chat_request.top_p is None else chat_request.top_p
    fields = {
        name: value
        for name in ("top_k", "presence_penalty", "frequency_penalty", "repetition_penalty")
        if (value := getattr(chat_request, name)) is not None
    }
    if chat_request.seed is not None:
        fields["seed"] = chat_request.seed % 2**63
    if not samples:
        return fields
    if temperature == 0 or top_p == 0:
        return fields | {"do_sample": False}
    return fields | {"do_sample": True, "temperature": temperature, "top_p": top_p}


def _thread_name(turns: list[ChatTurn]) -> str:
    """Return a hash of all messages up to the first question, as the conversation's name."""
    first = next(n for n, turn in enumerate(turns) if turn.role == "user")
    opening = [
        [t.role, t.text, [sha256_hex(image.text.encode()) for image in t.images]]
        for t in turns[: first + 1]
    ]
    return sha256_hex(dump(opening).encode())[:32]

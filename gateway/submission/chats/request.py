"""OpenAI's chat request: its messages and parameters, checked and turned into a chat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Request
from pydantic import BaseModel, ConfigDict, Field

from gateway.large_input import give_way, with_pauses
from gateway.models.directory import ModelDirectory
from gateway.submission.body import parse_body
from gateway.submission.chats.chat import AnswerRequest, Chat, ChatRules, assemble_chat
from gateway.submission.chats.message import ChatMessage, make_turn
from gateway.submission.chats.parameters import pick_own_parameters
from shared.settings import Settings


class StreamOptions(BaseModel):
    """What a stream includes besides the text."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatRequest(AnswerRequest):
    """The body of POST /v1/chat/completions; also takes our own parameters, such as `preset`."""

    messages: list[ChatMessage] = Field(min_length=1)
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = Field(
        None, ge=1, lt=2**63, description="Lowered to what the service and the context allow."
    )
    max_tokens: int | None = Field(None, ge=1, lt=2**63, description="The same by its older name.")
    response_format: dict[str, Any] | None = None

    @property
    def with_usage(self) -> bool:
        """Tell whether a stream shall end with the usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def answer_tokens(self) -> tuple[str, int | None]:
        """Return the parameter that bounds the answer, and its value."""
        if self.max_completion_tokens is not None:
            return "max_completion_tokens", self.max_completion_tokens
        return "max_tokens", self.max_tokens

    @property
    def answer_format(self) -> dict[str, Any] | None:
        """Return our `response_format`."""
        return self.response_format


@dataclass(frozen=True, slots=True)
class ReceivedChat:
    """A chat and the request that it came with."""

    asked: ChatRequest
    chat: Chat


def receive_chat(request: Request, settings: Settings, models: ModelDirectory) -> ReceivedChat:
    """Parse a chat request; of its earlier messages those stay that its model can read.

    Raises InvalidJson, UnsupportedMediaType, BadParameters, InputTooLong and StoreUnavailable.
    """
    asked = parse_body(request, ChatRequest)
    give_way()
    own = pick_own_parameters(asked.model_extra or {})
    workers = models.workers_for(asked.model, waits=own.waits_for_model)
    turns = [
        make_turn(message.role, message.content, f"/messages/{at}", own.max_pixels)
        for at, message in enumerate(with_pauses(asked.messages))
    ]
    give_way()
    rules = ChatRules(settings, workers, "/messages")
    return ReceivedChat(asked, assemble_chat(turns, asked, own, rules))

"""The request for a response: its input and parameters, checked and turned into a chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from flask import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from gateway.schemas.sessions import SESSION_PATTERN
from gateway.services import Services
from gateway.submission.body import parse_body
from gateway.submission.chats.chat import AnswerRequest, Chat, ChatRules, assemble_chat
from gateway.submission.chats.message import ChatTurn, NamedImage
from gateway.submission.chats.parameters import OwnParameters, pick_own_parameters
from gateway.submission.responses_api.chain import Chain, read_chain
from gateway.submission.responses_api.items import read_items
from shared.errors import BadParameters, NotFound
from shared.jobs import DETAIL_PIXELS
from shared.jobs.document import DocumentInput
from shared.jobs.response_api import ResponseFields
from shared.store.session_store import is_made_here

#: How long a response is kept that its caller wants not to be stored.
_UNSTORED_TTL_S = 60


class TextConfig(BaseModel):
    """The form of the answer; `verbosity` is ignored."""

    model_config = ConfigDict(extra="ignore")

    format: dict[str, Any] | None = Field(
        None, description='`{"type": "text"}`, `json_object`, or `json_schema` with its members.'
    )


class ConversationName(BaseModel):
    """Names a conversation."""

    id: str = Field(pattern=SESSION_PATTERN)

    @field_validator("id")
    @classmethod
    def _can_stand_in_a_url(cls, value: str) -> str:
        if value in (".", ".."):
            raise ValueError(f"{value!r} cannot be read or deleted later")
        return value


def _as_name(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


class ResponseRequest(AnswerRequest):
    """The body of POST /v1/responses; also takes our own parameters, such as `preset`."""

    input: str | list[Any] = Field(
        description="The question, or messages whose parts are `input_text` and `input_image`."
    )
    instructions: str | None = Field(
        None, description="A message of the system for this response; later ones don't have it."
    )
    max_output_tokens: int | None = Field(
        None, ge=1, lt=2**63, description="Lowered to what the service and the context allow."
    )
    text: TextConfig | None = None
    store: bool | None = Field(
        True, description="False: the response cannot be read again, and is erased soon."
    )
    background: bool | None = Field(
        False, description="Answer at once; the response goes on whoever leaves."
    )
    previous_response_id: str | None = Field(
        None, max_length=100, description="The response that this one goes on with."
    )
    conversation: Annotated[ConversationName | None, BeforeValidator(_as_name)] = Field(
        None, description="The session that this response goes on with, and is added to."
    )
    truncation: Literal["auto", "disabled"] | None = Field(
        None,
        description="`disabled` refuses a conversation that does not fit; otherwise its oldest "
        "part is left out with a warning.",
    )

    @property
    def answer_tokens(self) -> tuple[str, int | None]:
        """Return the parameter that bounds the answer, and its value."""
        return "max_output_tokens", self.max_output_tokens

    @property
    def answer_format(self) -> dict[str, Any] | None:
        """Return our `response_format`."""
        asked = self.text.format if self.text else None
        if asked is None or asked.get("type") != "json_schema":
            return asked
        schema = {name: value for name, value in asked.items() if name != "type"}
        return {"type": "json_schema", "json_schema": schema}


@dataclass(frozen=True, slots=True)
class ReceivedResponse:
    """A response's chat and how its caller wants it."""

    chat: Chat
    stream: bool
    background: bool


def receive_response(request: Request, services: Services, tenant: str) -> ReceivedResponse:
    """Parse a request for a response, and read what it goes on with.

    Raises InvalidJson, UnsupportedMediaType, BadParameters, InputTooLong, NotFound and
    StoreUnavailable.
    """
    asked = parse_body(request, ResponseRequest)
    own = pick_own_parameters(asked.model_extra or {})
    workers = services.models.workers_for(asked.model, waits=own.waits_for_model)
    _check_combination(asked)
    _check_conversation(asked, services, tenant)
    turns = read_items(asked.input, own)
    _set_own_fields(asked, own, len(turns))
    chain = read_chain(asked.previous_response_id, services, tenant)
    if chain.document and not any(turn.images for turn in turns):
        turns = _ask_about(chain.document, turns, own)
    before = [*_instructions(asked), *chain.turns]
    rules = ChatRules(
        services.settings,
        workers,
        "/input",
        earlier=len(before),
        whole=asked.truncation == "disabled",
    )
    spoken = [*before, *turns]
    chat = assemble_chat(spoken, asked, own, rules, _thread(asked, chain))
    chat = replace(chat, response=_fields(asked, len(turns)))
    return ReceivedResponse(chat, bool(asked.stream), bool(asked.background))


def _check_combination(asked: ResponseRequest) -> None:
    if asked.background and asked.store is False:
        raise BadParameters("A background response must be stored.", pointer="/store")
    if asked.conversation and asked.previous_response_id:
        raise BadParameters(
            "previous_response_id and conversation cannot be combined.", pointer="/conversation"
        )


def _check_conversation(asked: ResponseRequest, services: Services, tenant: str) -> None:
    """Raise NotFound for a conversation that is gone, which would be begun again without a word."""
    if asked.conversation is None or not is_made_here(asked.conversation.id):
        return
    try:
        services.sessions.get(tenant, asked.conversation.id)
    except NotFound:
        raise NotFound(
            "There is no conversation under this ID to go on with: it was deleted or has expired.",
            pointer="/conversation",
        ) from None


def _set_own_fields(asked: ResponseRequest, own: OwnParameters, turns: int) -> None:
    if asked.store is False:
        own.values["ttl_s"] = _UNSTORED_TTL_S
    if asked.conversation:
        own.values["session_id"] = asked.conversation.id
        if turns > 1:
            detail = "A conversation keeps the last question of a response and its answer alone."
            own.tell("conversation_keeps_last", detail, "/input")


def _ask_about(
    document: DocumentInput, turns: Sequence[ChatTurn], own: OwnParameters
) -> list[ChatTurn]:
    """Ask the last question about the pages of the one before, as they were read for it.

    The earlier question is no place for the document: where much was said it is left out.
    """
    own.values.setdefault("pages", [str(number) for number in document.pages])
    own.values.setdefault("text_layer", document.text_layer.value)
    own.values.setdefault("dpi", document.dpi)
    named = (NamedImage(document.id, "/previous_response_id"),)
    last = max((at for at, turn in enumerate(turns) if turn.role == "user"), default=-1)
    return [replace(turn, images=named) if at == last else turn for at, turn in enumerate(turns)]


def _instructions(asked: ResponseRequest) -> list[ChatTurn]:
    if asked.instructions is None:
        return []
    return [ChatTurn("system", asked.instructions, (), DETAIL_PIXELS["auto"])]


def _thread(asked: ResponseRequest, chain: Chain) -> str:
    """Return the name of the conversation, as far as it is known before its first question."""
    return asked.conversation.id if asked.conversation else chain.thread


def _fields(asked: ResponseRequest, turns: int) -> ResponseFields:
    text_format = asked.text.format if asked.text else None
    return ResponseFields(
        background=bool(asked.background),
        store=asked.store is not False,
        instructions=asked.instructions,
        previous_response_id=asked.previous_response_id,
        conversation=asked.conversation.id if asked.conversation else None,
        max_output_tokens=asked.max_output_tokens,
        truncation=asked.truncation or "auto",
        text_format=text_format or {"type": "text"},
        own_messages=turns,
    )

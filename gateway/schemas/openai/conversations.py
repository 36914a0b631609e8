"""The shapes of OpenAI's conversations as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.schemas.parameters import Parameters

#: Messages that are taken at once.
MAX_ITEMS = 20
_Metadata = dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]]


class ConversationPath(Parameters):
    """Names a conversation."""

    conversation_id: str = Field(description="`conv_…`, or the ID of a session.")


class ConversationItemPath(ConversationPath):
    """Names a message of a conversation."""

    item_id: str = Field(description="`msg_…`")


class ConversationRequest(BaseModel):
    """The body of POST /v1/conversations."""

    model_config = ConfigDict(extra="forbid")

    items: list[Any] | None = Field(
        None, max_length=MAX_ITEMS, description="Messages, as for `POST …/items`."
    )
    metadata: _Metadata | None = Field(None, max_length=16, description="Returned unchanged.")


class ConversationChange(BaseModel):
    """The body of POST /v1/conversations/{id}."""

    model_config = ConfigDict(extra="forbid")

    metadata: _Metadata = Field(max_length=16, description="Replaces what there was.")


class AddedItems(BaseModel):
    """The body of POST /v1/conversations/{id}/items."""

    model_config = ConfigDict(extra="forbid")

    items: list[Any] = Field(
        min_length=1,
        max_length=MAX_ITEMS,
        description="Messages of any role, with `input_text` and `input_image` parts.",
    )


class ConversationObject(BaseModel):
    """OpenAI's conversation."""

    id: str
    object: Literal["conversation"]
    created_at: int
    metadata: dict[str, str]


class ConversationItem(BaseModel):
    """A message."""

    type: Literal["message"]
    id: str
    status: Literal["completed", "incomplete"]
    role: Literal["user", "assistant", "system"]
    content: list[dict[str, Any]]


class DeletedConversation(BaseModel):
    """What is left of a deleted conversation."""

    id: str
    object: Literal["conversation.deleted"]
    deleted: Literal[True]

"""The shapes of conversations as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from gateway.schemas.parameters import Parameters
from shared.jobs import FinishReason
from shared.jobs.model import TurnPart

SESSION_PATTERN = r"^[A-Za-z0-9_.:\-]{1,128}$"


class SessionPath(Parameters):
    """Names a conversation."""

    session_id: str


class SessionQuery(Parameters):
    """How many conversations."""

    limit: int = Field(20, ge=1, le=100)


class SessionSummary(BaseModel):
    """A conversation without its turns."""

    id: str
    object: Literal["session"]
    created_at: str
    updated_at: str
    expires_at: str
    busy: str | None = Field(description="The unfinished job of the conversation, if any.")
    title: str | None = Field(
        description="The beginning of its first answered question; null where an instruction "
        "stands before it."
    )
    preset: str | None = Field(description="The preset of that question.")


class SessionList(BaseModel):
    """Conversations, most recently used first."""

    object: Literal["list"]
    data: list[SessionSummary]


class SessionTurn(BaseModel):
    """A question and its answer; the one is empty where the conversation has the other alone."""

    job_id: str | None = Field(description="Null for messages that were added.")
    created_at: str
    role: Literal["user", "system"] = Field(
        description="Who says the prompt: `system` of an instruction to the model that was added."
    )
    part: TurnPart = Field(description="Which halves of the turn the conversation has.")
    prompt: str
    preset: str | None
    images: list[str]
    text: str
    finish_reason: FinishReason


class SessionState(SessionSummary):
    """A conversation, its turns oldest first, and all its images."""

    turns: list[SessionTurn]
    images: list[str]

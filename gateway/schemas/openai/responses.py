"""The shapes of OpenAI's Responses API as the OpenAPI document shows them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.schemas.jobs.output import EvidenceState
from gateway.schemas.parameters import Parameters, known_form

_RESPONSE_ID = re.compile(r"resp_[0-9A-Z]{36}")


class ResponsePath(Parameters):
    """Names a response."""

    response_id: Annotated[str, known_form(_RESPONSE_ID)] = Field(description="`resp_…`")


class IncludedQuery(Parameters):
    """What OpenAI's clients may ask for beside the response; there is none of it here."""

    model_config = ConfigDict(populate_by_name=True)

    include: list[str] | None = Field(None, description="Ignored.")
    include_list: list[str] | None = Field(None, alias="include[]", description="Ignored.")


class ResponseQuery(IncludedQuery):
    """How a response is read."""

    stream: bool = Field(False, description="Stream its events instead of returning the response.")
    starting_after: int | None = Field(
        None,
        ge=0,
        lt=2**53,
        description="The last `sequence_number` received. The last event is sent in any case.",
    )
    include_obfuscation: bool | None = Field(None, description="Ignored.")


class ItemsQuery(IncludedQuery):
    """A page of input items."""

    limit: int = Field(20, ge=1, le=100)
    order: Literal["asc", "desc"] = "desc"
    after: str | None = Field(None, max_length=100, description="The last ID of the previous page.")


class ResponseObject(BaseModel):
    """OpenAI's response; its id is the job's with another beginning."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    background: bool
    error: dict[str, Any] | None
    incomplete_details: dict[str, str] | None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, Any]
    model: str
    output: list[dict[str, Any]]
    parallel_tool_calls: bool
    previous_response_id: str | None
    conversation: dict[str, str] | None
    store: bool
    temperature: float
    top_p: float
    text: dict[str, Any]
    tool_choice: str
    tools: list[dict[str, Any]]
    truncation: Literal["auto", "disabled"]
    usage: dict[str, Any] | None
    warnings: list[dict[str, str]]
    evidence: dict[str, EvidenceState] | None = Field(
        None, description="With `evidence`: by JSON pointer, of each value of the answer."
    )
    review: list[str] | None = Field(
        None, description="With `review`: what a person should look at, as in a job's output."
    )


class DeletedResponse(BaseModel):
    """What is left of a deleted response."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class InputItemList(BaseModel):
    """Messages of a response's input."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool

"""The shapes of reviews as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.jobs.answers.review import MOST_STATEMENTS
from shared.jobs.answers.review import ReviewState as State

Pointer = Annotated[str, Field(max_length=1000)]


class CorrectionEntry(BaseModel):
    """What should stand at a place of an answer."""

    model_config = ConfigDict(extra="forbid")

    pointer: Pointer = Field(
        description="JSON pointer into `output`: a text, such as `/text`, `/lines/3/text`, "
        "`/lines/3/cells/0/text`, `/pages/0/text` or `/objects/0/label`; `/fields/NAME/0`; or a "
        "part of `/json`."
    )
    value: Any = Field(
        description="A text; within `/json` of the same kind as the value there, or null."
    )


class ReviewRequest(BaseModel):
    """The body of POST /v1/jobs/{id}/review; it has a correction or a confirmation."""

    model_config = ConfigDict(extra="forbid")

    corrections: list[CorrectionEntry] = Field(
        default_factory=list, max_length=MOST_STATEMENTS, description="Of one place the last wins."
    )
    confirmed: list[Pointer] = Field(
        default_factory=list,
        max_length=MOST_STATEMENTS,
        description="JSON pointers of what was seen to be right.",
    )
    reviewer: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="Whoever looks at the answer; the name of the API key is recorded as well.",
    )
    if_version: int | None = Field(
        None,
        ge=0,
        lt=2**53,
        description="Refuse with `review_changed` if the review has another `version` now.",
    )


class StatementState(BaseModel):
    """Who has said something, and when."""

    by: str = Field(description="Name of the API key.")
    reviewer: str | None
    at: str


class EarlierState(StatementState):
    """A correction that was replaced."""

    value: Any


class CorrectionState(StatementState):
    """A correction."""

    pointer: str
    value: Any
    before: Any = Field(description="What the answer says there.")
    earlier: list[EarlierState] = Field(
        description="What it was corrected to before, newest first, up to five."
    )


class ConfirmationState(StatementState):
    """A part of the answer that was seen to be right."""

    pointer: str


class ReviewState(BaseModel):
    """What people have said of an answer, which itself never changes.

    In a list, of an output that is `shortened`, only state and version are given.
    """

    state: State = Field(
        description="`done` when each of the pointers was corrected or confirmed, or there is none."
    )
    version: int = Field(description="How often it has changed.")
    pointers: list[str] | None = Field(description="`output.review`: what a person should look at.")
    corrections: list[CorrectionState] | None
    confirmed: list[ConfirmationState] | None


class ReviewedJob(BaseModel):
    """The review of a job."""

    object: Literal["review"]
    job_id: str
    review: ReviewState

"""The shapes of groups as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic import model_validator as check

from gateway.schemas.parameters import MAX_URL_CHARS, Parameters

#: As those of sessions.
GROUP_PATTERN = r"^[A-Za-z0-9_.:\-]{1,128}$"


class GroupPath(Parameters):
    """Names a group."""

    group_id: Annotated[str, Field(pattern=GROUP_PATTERN)]


class GroupQuery(Parameters):
    """How many groups."""

    limit: int = Field(20, ge=1, le=100)


class GroupRequest(BaseModel):
    """The body of PUT /v1/groups/{group_id}."""

    model_config = ConfigDict(extra="forbid")

    size: int | None = Field(
        None, ge=1, le=10_000_000, description="How many jobs the group will have."
    )
    webhook: str | None = Field(
        None,
        max_length=MAX_URL_CHARS,
        description="The http(s) URL to notify (`group.completed`) once `size` jobs were added and "
        "all of them have ended; again if jobs are added later.",
    )
    metadata: dict[str, Any] | None = Field(None, max_length=16, description="Returned unchanged.")

    @check(mode="after")
    def _end_can_be_told(self) -> Self:
        if self.webhook and self.size is None:
            raise ValueError("a webhook needs size, which says when the group is complete")
        return self


class GroupCounts(BaseModel):
    """How many jobs of a group are in which state."""

    total: int = Field(description="All jobs that were added.")
    queued: int
    running: int
    succeeded: int
    failed: int
    canceled: int
    expired: int
    erased: int = Field(description="Erased before they ended.")


class GroupState(BaseModel):
    """A group."""

    id: str
    object: Literal["group"]
    status: Literal["in_progress", "completed"] = Field(
        description="`completed`: all its jobs, at least `size`, have ended."
    )
    created_at: str
    updated_at: str
    completed_at: str | None = Field(description="Null without `size`.")
    size: int | None
    counts: GroupCounts
    eta_s: float | None = Field(
        description="Predicted seconds until its last job ends; null if unknown or if more jobs "
        "are expected."
    )
    metadata: dict[str, Any]
    urls: dict[str, str]


class GroupList(BaseModel):
    """Groups, last used first."""

    object: Literal["list"]
    data: list[GroupState]


class GroupRetried(BaseModel):
    """What became of a retry."""

    group: GroupState
    retried: list[str] = Field(description="The IDs of the new jobs.")
    left: int = Field(description="Failed jobs that were not retried; call again for them.")
    reason: str | None = Field(description="Why some were left, as an error code.")

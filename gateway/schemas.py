"""The shapes of requests and answers as the OpenAPI document tells them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from shared.jobs import FinishReason, JobStatus, Stage


class JobPath(BaseModel):
    """Names a job."""

    job_id: str = Field(description="`job_…`")


class ImagePath(BaseModel):
    """Names an image."""

    image_id: str = Field(description="`img_<sha256>`")


class WaitQuery(BaseModel):
    """Long-poll."""

    wait: str = Field("0", description="Seconds to wait for a change of status or progress.")


class ListQuery(BaseModel):
    """A page of jobs, newest first."""

    status: JobStatus | None = None
    session_id: str | None = None
    limit: int = Field(20, ge=1, le=100)
    after: str | None = Field(None, description="The last id of the page before.")


class EventsQuery(BaseModel):
    """Where to resume a stream."""

    starting_after: int = Field(0, ge=0, lt=2**53, description="The last event number seen.")


class SubmitHeader(BaseModel):
    """Headers of a submission."""

    prefer: str | None = Field(
        None, alias="Prefer", description="`wait=N`: answer 200 if it ends within N seconds."
    )
    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key and body give the same job for 24 hours.",
    )


class QueueState(BaseModel):
    """Where a job waits."""

    name: str
    position: int = Field(description="Queued jobs that are taken before this one.")
    wait_s: float | None = Field(description="Predicted; null without experience.")


class ProgressState(BaseModel):
    """How far a running job has come."""

    stage: Stage
    percent: int
    output_tokens: int
    eta_s: float | None = None


class OutputState(BaseModel):
    """The answer."""

    text: str
    json_: Any = Field(None, alias="json")
    fields: dict[str, list[str]]
    finish_reason: FinishReason
    partial: bool


class Job(BaseModel):
    """A job."""

    id: str
    object: Literal["job"]
    status: JobStatus
    created_at: str
    started_at: str | None
    completed_at: str | None
    expires_at: str
    queue: QueueState
    progress: ProgressState | None
    input: dict[str, Any]
    output: OutputState | None
    warnings: list[dict[str, str]]
    usage: dict[str, int] | None
    cache: dict[str, str | None] | None
    metrics: dict[str, Any] | None
    error: dict[str, Any] | None
    retry_of: str | None
    session_id: str | None
    metadata: dict[str, Any]
    urls: dict[str, str]


class JobList(BaseModel):
    """A page of jobs."""

    object: Literal["list"]
    data: list[Job]
    has_more: bool
    last_id: str | None


class ImageState(BaseModel):
    """A stored image."""

    id: str
    object: Literal["image"]
    width: int
    height: int
    used: list[int] = Field(description="Pixels that the model sees by default.")
    tokens: int = Field(description="Visual tokens by default.")
    format: str
    bytes: int
    warnings: list[dict[str, str]]
    expires_in_s: int


class Ok(BaseModel):
    """All is well."""

    status: str

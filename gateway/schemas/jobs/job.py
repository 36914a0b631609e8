"""The shapes of jobs as the OpenAPI document shows them."""

from __future__ import annotations

import functools
from typing import Any, Literal

from pydantic import BaseModel, Field

from gateway.schemas.jobs.output import OutputState
from gateway.schemas.jobs.reviews import ReviewState
from shared.jobs import JobStatus, Stage


class QueueState(BaseModel):
    """Where a job waits."""

    name: str
    position: int = Field(description="Number of queued jobs ahead of this one.")
    wait_s: float | None = Field(
        description="Predicted wait; null until a worker has measured its speed."
    )


class ProgressState(BaseModel):
    """Progress of a running job."""

    stage: Stage
    percent: int
    output_tokens: int
    tiles_done: int | None = Field(None, description="For long images only.")
    tiles_total: int | None = Field(None, description="For long images only.")
    pages_done: int | None = Field(None, description="For documents only.")
    pages_total: int | None = Field(None, description="For documents only.")
    eta_s: float | None = None


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
    eta_s: float | None = Field(
        None,
        description="Predicted seconds until it ends; null once it has, and while unknown.",
    )
    progress: ProgressState | None
    input: dict[str, Any]
    output: OutputState | None
    review: ReviewState | None = Field(
        description="What people have said of the answer; null where nobody asked for a review "
        "and nobody has said anything."
    )
    warnings: list[dict[str, str]]
    usage: dict[str, int] | None
    cache: dict[str, str | None] | None
    metrics: dict[str, Any] | None
    predicted: PredictedState | None
    error: dict[str, Any] | None
    retry_of: str | None
    not_before: str | None = Field(description="It does not start earlier.")
    window: str | None = Field(description="It starts only within these hours of a day.")
    session_id: str | None
    group: str | None
    metadata: dict[str, Any]
    urls: dict[str, str]

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return its JSON schema, which is large, made once for all routes that answer with it."""
        return _describe_job(*args, **kwargs)


@functools.cache
def _describe_job(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return super(Job, Job).model_json_schema(*args, **kwargs)


class PredictedState(BaseModel):
    """Seconds predicted when the job was accepted."""

    wait_s: float | None
    run_s: float
    total_s: float | None


class JobList(BaseModel):
    """A page of jobs."""

    object: Literal["list"]
    data: list[Job]
    has_more: bool
    last_id: str | None

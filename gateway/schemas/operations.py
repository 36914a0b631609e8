"""The shapes of what operators see and do as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from gateway.schemas.health import QueueDepth, StartingState, WorkerState
from gateway.schemas.parameters import Parameters
from shared.store.operations.job_board import Standing
from shared.store.operations.queue_history import KEPT_MINUTES

_NAME_CHARS = 200


class BoardQuery(Parameters):
    """Which jobs of all keys."""

    status: Standing = Field(
        Standing.RUNNING,
        description="`scheduled`: may not start before its time. Of the statuses of ended jobs the "
        "latest 10,000 are listed.",
    )
    key: str | None = Field(
        None, max_length=80, description="Name or id of the key, or `anonymous`."
    )
    model: str | None = Field(None, max_length=_NAME_CHARS)
    worker: str | None = Field(None, max_length=_NAME_CHARS, description="Id of the worker.")
    code: str | None = Field(
        None, max_length=64, description="Code of the error that they failed with."
    )
    limit: int = Field(50, ge=1, le=200)
    after: str | None = Field(
        None, pattern=r"^[0-9]{1,16}-[A-Za-z0-9_]{1,80}$", description="`next` of the last page."
    )


class HistoryQuery(Parameters):
    """How much of the history."""

    minutes: int = Field(60, ge=1, le=KEPT_MINUTES)


class WorkerPath(Parameters):
    """Names a worker."""

    worker_id: Annotated[str, Field(min_length=1, max_length=300)]


class JobSize(BaseModel):
    """How large a job is."""

    images: int
    pages: int = Field(description="Pages of its document that were asked for.")
    visual_tokens: int = Field(description="Those of its images.")
    prompt_tokens: int | None = Field(description="Null until the job has ended.")
    completion_tokens: int | None


class JobReason(BaseModel):
    """Why a job has failed; never in words that may quote its caller."""

    code: str
    title: str


class BoardJob(BaseModel):
    """A job of any key, without what it was asked and has answered."""

    id: str
    object: Literal["job"]
    status: Standing
    key: str = Field(description="Name of its key, `anonymous` without one.")
    kind: str = Field(description="Its preset, `ask`, or `warm_up`.")
    model: str
    queue: str
    created_at: str
    queued_at: str | None
    started_at: str | None
    completed_at: str | None
    not_before: str | None
    age_s: float = Field(description="Since it was accepted.")
    size: JobSize
    attempt: int
    max_attempts: int
    lost: int = Field(description="Times that a worker lost it.")
    worker: str | None
    stage: str | None
    percent: float | None
    eta_s: float | None = Field(description="Seconds until it ends, as its worker says.")
    parts_done: int | None = Field(description="Tiles or pages that are done, of a job with parts.")
    parts: int | None
    canceling: bool = Field(description="Whether its worker has yet to stop it.")
    reason: JobReason | None
    retry_of: str | None


class BoardList(BaseModel):
    """A page of jobs: ended ones latest first, others by how long they have been there."""

    object: Literal["list"]
    data: list[BoardJob]
    has_more: bool
    next: str | None = Field(
        description="The cursor for `after`. A page looks at 1,000 jobs at most, so that one with "
        "filters may have few jobs, or none, though more follow."
    )


class WorkerDetail(WorkerState):
    """A worker as operators see it."""

    object: Literal["worker"]
    drained: bool = Field(description="Whether an operator has asked it to take no more jobs.")
    host: str
    pid: int
    revision: str
    numerics: str
    numerics_reason: str
    arithmetic: str = Field(description="Instruction set and kernels that compute it.")
    context_tokens: int
    consumes: list[str] | None = Field(description="Shared queues that it takes jobs from.")
    load_factor: float = Field(description="Measured over predicted seconds under full load.")
    batch_requests: float = Field(description="Mean requests in one pass of its model.")
    memory_bytes: int = Field(description="0 while unknown.")
    memory_total_bytes: int = Field(description="Of its machine or container; 0 while unknown.")


class StartingDetail(StartingState):
    """A worker without a model as operators see it."""

    object: Literal["starting_worker"]
    name: str = Field(description="Its name in Celery, which it keeps when it is started again.")
    reason: str = Field(
        description="Why it gave up, in one line of its log; empty while it goes on."
    )
    reported_at: str = Field(description="When it last said so, by its own clock.")


class WorkerList(BaseModel):
    """All workers that send heartbeats, and those that have no model yet."""

    object: Literal["list"]
    data: list[WorkerDetail]
    starting: list[StartingDetail] = Field(
        description="Workers that load a model, and for ten minutes those that could not."
    )


class QueuePoint(BaseModel):
    """The queue at one moment, and what happened in the `seconds` before."""

    at: str
    queued: int
    scheduled: int
    running: int
    oldest_wait_s: float
    seconds: float
    submitted: int
    succeeded: int
    failed: int
    canceled: int
    expired: int


class QueueHistoryView(BaseModel):
    """The queue now and in each minute before."""

    object: Literal["queue"]
    queues: list[QueueDepth]
    queued: int
    scheduled: int
    running: int
    oldest_wait_s: float
    wait_s: float | None = Field(
        description="Predicted wait of a job behind all others; null while unknown."
    )
    history: list[QueuePoint] = Field(description="The earliest first, one a minute.")

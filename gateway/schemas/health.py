"""The shapes of health checks, queues and workers as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Ok(BaseModel):
    """The check passed."""

    status: str


class Ready(Ok):
    """The service takes requests."""

    blobs: Literal["ok", "down"] | None = Field(
        None,
        description="Whether the blob store answers; without it, images and files can be neither "
        "stored nor read. Absent where everything lies in Redis.",
    )


class QueueDepth(BaseModel):
    """The number of waiting jobs in one queue."""

    name: str
    depth: int


class WorkerState(BaseModel):
    """The state of a running worker."""

    id: str
    model: str
    simulated: bool = Field(description="Whether it runs the simulated engine, without a model.")
    slots: int = Field(description="Jobs that it can run at once.")
    busy: int
    draining: bool = Field(description="Whether it is stopping and accepts no new jobs.")
    reader: str = Field(description="The weights of its second reader; empty without one.")
    thinks: bool = Field(description="Whether its model can think before it answers.")
    seconds_per_job: float = Field(description="0 while unknown.")
    encode_tokens_per_s: float
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    version: str


class ModelQueue(BaseModel):
    """The current load of one model."""

    model: str
    queued: int
    running: int
    oldest_wait_s: float
    wait_s: float | None = Field(
        description="Predicted wait of a job behind all others of this model; null without a "
        "worker, and until one has measured its speed."
    )
    workers: int = Field(description="0: its jobs wait until a worker for it comes.")
    default: bool = Field(description="Whether requests that name no model mean this one.")
    slots: int


class StartingState(BaseModel):
    """A worker that has no model yet."""

    model: str = Field(description="The model that it is to serve.")
    kind: Literal["download", "load", "prepare"]
    step: str = Field(description="What it does, in English.")
    percent: int | None = Field(None, description="What is done of the step; null while unknown.")
    seconds_left: float | None = None
    problem: str = Field(
        description="Why it gave up: no_network, server_down, access_denied, not_there, "
        "not_readable, disk_full, wrong_checksum, unfinished or not_loadable; empty while it "
        "goes on. Its log has the whole reason."
    )


class QueueView(BaseModel):
    """The current load of the service."""

    queues: list[QueueDepth]
    queued: int
    running: int
    oldest_wait_s: float
    wait_s: float | None = Field(
        None,
        description="Predicted wait of a job behind all others; null until a worker has measured "
        "its speed. Of several models the longest.",
    )
    workers: list[WorkerState]
    models: list[ModelQueue] = Field(description="Each model that is served or waited for.")
    starting: list[StartingState] = Field(
        [], description="Workers without a model yet, and those that lately could not get one."
    )

"""What goes into the job store and comes out of it: new and stored jobs, claims, doorbells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from shared.jobs import ImageInfo, JobInput, Priority, new_job_id
from shared.jobs.parameters.route import Route
from shared.jobs.parameters.schedule import Schedule
from shared.jobs.response_api import ResponseFields
from shared.jobs.row import JobRow, read_row
from shared.prediction.cost_model import Prediction
from shared.store.access.rate_limits import RateLimits
from shared.webhooks import Webhook


class Verdict(IntEnum):
    """The answer to a worker that beats or reports; its values are those of the scripts."""

    #: The job is no longer this worker's.
    LOST = 0
    GO_ON = 1
    #: The caller canceled it.
    STOP = 2


@dataclass(frozen=True, slots=True)
class Reported:
    """The answer to a report."""

    verdict: Verdict
    #: Bytes of the attempt's text that Redis has; fewer than before if it has lost some.
    known_bytes: int
    #: The same of what the model has thought.
    known_thought_bytes: int = 0


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be stored."""

    tenant: str
    input: JobInput
    id: str = field(default_factory=new_job_id)
    priority: Priority = Priority.DEFAULT
    ttl_s: int = 86_400
    deadline_s: float | None = None
    session_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    images: Sequence[ImageInfo] = ()
    #: Notices of the images, as dicts.
    notices: Sequence[Mapping[str, Any]] = ()
    #: Its model, and the workers that it waits for.
    route: Route = field(default_factory=Route)
    retry_of: str | None = None
    schedule: Schedule = field(default_factory=Schedule)
    #: The group that it belongs to.
    group: str | None = None
    webhook: Webhook | None = None
    trace: Mapping[str, str] = field(default_factory=dict)
    prediction: Prediction | None = None
    limits: RateLimits = field(default_factory=RateLimits)
    #: (Idempotency-Key, fingerprint of the body)
    idempotency: tuple[str, str] | None = None
    #: Of a job that the Responses API makes.
    response: ResponseFields | None = None
    #: The request that waits for it, which wants no job that was stopped; see `new_waiter`.
    waiter: str = ""

    #: Visual tokens of the pages of its document.
    page_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Return the visual tokens of its images and pages."""
        return self.page_tokens + sum(image.tokens for image in self.images)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a worker answers with; without a name, whatever is for all workers."""

    name: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Doorbell:
    """What the queue needs to wake a worker for a job."""

    job_id: str
    queue: str
    #: What Flower shows of the job: its kind and size, never its content.
    summary: str = ""

    @property
    def label(self) -> str:
        """What Flower shows as the task's arguments."""
        return f"{self.job_id} {self.summary}" if self.summary else self.job_id


def read_doorbells(reply: Sequence[Sequence[str]]) -> list[Doorbell]:
    """Return the doorbells of a script's reply: a job id and a queue each."""
    return [Doorbell(job_id, queue) for job_id, queue in reply]


@dataclass(frozen=True, slots=True)
class DoorbellMessage:
    """A doorbell as it is written to Redis."""

    #: The list that workers read, and the message that is pushed to it.
    list: str
    message: str
    #: The channel that Flower listens on, and the event that is published there.
    channel: str
    event: str
    #: Milliseconds after which the list expires if nobody reads it; None keeps it.
    expires_ms: int | None


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A stored job, or the earlier one that the same Idempotency-Key made."""

    doorbell: Doorbell
    replayed: bool = False
    #: Queued jobs that are taken before it; None when it is not queued.
    position: int | None = None
    #: Its row at that moment.
    fields: Mapping[str, str] = field(default_factory=dict)

    def row(self) -> JobRow:
        """Return the row of the job; raises JobTooNew."""
        return read_row(self.fields)


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to a job."""

    row: JobRow
    owner: str
    #: Milliseconds of Redis' clock when the job was claimed.
    at_ms: int = 0
    #: What an earlier attempt had written before its worker was lost or stopped.
    written: str = ""

"""The jobs of all tenants by what they are doing, for operators: pages of a bounded cost.

Nothing here reads what a job was asked or has answered.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict

from shared.errors import Erased, NotFound
from shared.jobs import JobStatus
from shared.jobs.row import JsonDict, JsonList
from shared.store import keys
from shared.store.connection import Client, load_script
from shared.store.failures import guard, tidying

#: Entries that one page looks at, however few of them are wanted, and in one round trip.
_MOST_LOOKED_AT = 1000
_AT_ONCE = 200
#: Leases that are looked at: more than the slots of any fleet.
_MOST_LEASES = 5000

_Blank = BeforeValidator(lambda value: None if value == "" else value)


class Standing(StrEnum):
    """What a job is doing, or how it has ended; `scheduled` ones may not start yet."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def status(self) -> JobStatus:
        """The status that such jobs have."""
        return JobStatus.QUEUED if self is Standing.SCHEDULED else JobStatus(self.value)


class Place(NamedTuple):
    """A place in the order of a page: a millisecond, and the job that stands there."""

    at_ms: int
    job_id: str

    def __str__(self) -> str:
        return f"{self.at_ms}-{self.job_id}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Return the place that a text names; raises ValueError."""
        at_ms, _, job_id = text.partition("-")
        return cls(int(at_ms), job_id)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs are wanted; None is no condition."""

    tenant: str | None = None
    model: str | None = None
    worker: str | None = None
    #: Code of the error that they failed with.
    code: str | None = None


class JobSummary(BaseModel):
    """A job without its content; times are milliseconds of Redis' clock."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    tenant: str
    status: JobStatus
    queue: str
    attempt: int = 0
    max_attempts: int = 0
    lost: int = 0
    created_ms: int
    queued_ms: Annotated[int | None, _Blank] = None
    started_ms: Annotated[int | None, _Blank] = None
    completed_ms: Annotated[int | None, _Blank] = None
    not_before_ms: Annotated[int | None, _Blank] = None
    #: Preset, `ask`, or "" of a job that only remembers images.
    kind: str = ""
    model: str = ""
    images: JsonList = ()
    pages: Annotated[tuple[int, ...], BeforeValidator(lambda v: json.loads(v) if v else ())] = ()
    phase: str = ""
    tiles_total: int = 0
    tiles_done: int = 0
    worker: Annotated[str | None, _Blank] = None
    cancel: Annotated[bool, BeforeValidator(lambda v: v == "1")] = False
    progress: JsonDict = None
    usage: JsonDict = None
    error: JsonDict = None
    retry_of: Annotated[str | None, _Blank] = None

    @property
    def shown_status(self) -> JobStatus:
        """Its status as callers see it: a long job runs while it waits between its steps."""
        waits_between = self.phase and self.status is JobStatus.QUEUED
        return JobStatus.RUNNING if waits_between else self.status


_FIELDS = sorted(JobSummary.model_fields)


class BoardPage(NamedTuple):
    """Jobs, and the place behind which the next page begins; None where none follows."""

    jobs: list[JobSummary]
    next: Place | None


class JobBoard:
    """Reads the jobs of all tenants; every method raises StoreUnavailable without Redis."""

    def __init__(self, client: Client) -> None:
        self._redis = client
        self._page = load_script(client, "operations/page")

    def page(
        self, standing: Standing, wanted: Wanted, after: Place | None, limit: int
    ) -> BoardPage:
        """Return up to `limit` jobs: the ended latest first, others by how long they are there.

        A page looks at so many jobs at most, and may thus have fewer, or none, though more follow.
        """
        jobs: list[JobSummary] = []
        with guard():
            for _ in range(_MOST_LOOKED_AT // _AT_ONCE):
                places = self._places(standing, after)
                chosen = self._choose(standing, wanted, places)
                left = limit - len(jobs)
                jobs += self._read([place.job_id for place in chosen[:left]])
                if len(chosen) > left or len(jobs) == limit:
                    return BoardPage(jobs, chosen[left - 1])
                if len(places) < _AT_ONCE:
                    return BoardPage(jobs, None)
                after = places[-1]
        return BoardPage(jobs, after)

    def get(self, job_id: str) -> JobSummary:
        """Return one job of any tenant; raises Erased and NotFound, also for a part of a job."""
        with guard():
            if self._redis.hget(keys.job(job_id), "parent"):
                raise NotFound
            for summary in self._read([job_id]):
                return summary
            raise Erased if self._redis.exists(keys.GONE + job_id) else NotFound

    def ended(self, job_ids: Sequence[str]) -> list[JobSummary]:
        """Return those of these jobs that have ended."""
        with guard():
            return [job for job in self._read(job_ids) if job.status.terminal]

    def scheduled(self) -> int:
        """Return how many jobs may not start yet."""
        with guard():
            return int(self._redis.zcard(keys.DEFERRED))

    def now_ms(self) -> int:
        """Return the present millisecond of Redis' clock."""
        with guard():
            seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def _places(self, standing: Standing, after: Place | None) -> list[Place]:
        """Return the next places in the order of a page."""
        match standing:
            case Standing.QUEUED:
                return self._queued(after)
            case Standing.SCHEDULED:
                return self._piece(keys.DEFERRED, after)
            case Standing.RUNNING:
                return self._running(after)
            case _:
                return self._piece(keys.ENDED + standing.value, after, backwards=True)

    def _piece(self, index: str, after: Place | None, *, backwards: bool = False) -> list[Place]:
        behind = ("", "") if after is None else (after.at_ms, after.job_id)
        reply = self._page(keys=[], args=[index, "1" if backwards else "", *behind, _AT_ONCE])
        return [
            Place(int(float(score)), job_id)
            for job_id, score in zip(reply[::2], reply[1::2], strict=True)
        ]

    def _queued(self, after: Place | None) -> list[Place]:
        """Return jobs that wait for whichever model, by when they were queued."""
        pools = ["", *self._redis.smembers(keys.POOLS)]
        lists = [self._piece(keys.pooled(keys.QUEUED_SINCE, pool), after) for pool in pools]
        return sorted(place for places in lists for place in places)[:_AT_ONCE]

    def _running(self, after: Place | None) -> list[Place]:
        """Return jobs that workers hold, and cut ones between their steps, by their start."""
        held = self._redis.zrange(keys.LEASES, 0, _MOST_LEASES - 1)
        started = self._fields(held, "started_ms", "parent")
        places = {
            Place(int(row[0]), job_id)
            for job_id, row in zip(held, started, strict=True)
            if row[0] and not row[1]
        }
        later = {place for place in places if after is None or place > after}
        return sorted(later | set(self._piece(keys.SPLIT, after)))[:_AT_ONCE]

    def _choose(self, standing: Standing, wanted: Wanted, places: Sequence[Place]) -> list[Place]:
        """Return those places whose jobs are wanted and still stand there."""
        ids = [place.job_id for place in places]
        rows = self._fields(ids, "status", "parent", "phase", "tenant", "model", "worker", "error")
        self._forget([one for one, row in zip(ids, rows, strict=True) if not row[0]], standing)
        return [
            place for place, row in zip(places, rows, strict=True) if _fits(row, standing, wanted)
        ]

    def _forget(self, ids: Sequence[str], standing: Standing) -> None:
        """Take jobs whose rows have expired out of the indexes that nothing else tidies."""
        if ids:
            with tidying():
                self._redis.zrem(keys.ENDED + standing.value, *ids)
                self._redis.zrem(keys.SPLIT, *ids)

    def _read(self, ids: Sequence[str]) -> list[JobSummary]:
        rows = self._fields(ids, *_FIELDS) if ids else []
        named = ({n: v for n, v in zip(_FIELDS, row, strict=True) if v is not None} for row in rows)
        return [JobSummary.model_validate(row) for row in named if row]

    def _fields(self, ids: Sequence[str], *names: str) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hmget(keys.job(job_id), *names)
        return list(pipe.execute())


def _fits(row: Sequence[Any], standing: Standing, wanted: Wanted) -> bool:
    status, parent, phase, tenant, model, worker, error = row
    if phase and status == JobStatus.QUEUED:
        status = JobStatus.RUNNING
    if parent or status != standing.status:
        return False
    named = (
        (wanted.tenant, tenant),
        (wanted.model, model),
        (wanted.worker, worker),
        (wanted.code, json.loads(error).get("code") if error and wanted.code else None),
    )
    return all(one in (None, other) for one, other in named)

"""The read side of the job store: pages of jobs, how full the queues are, counters and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import NotFound
from shared.jobs import JobStatus, Priority
from shared.jobs.row import JobRow, read_listed_row
from shared.store import keys
from shared.store.connection import Client
from shared.store.failures import guard
from shared.store.jobs import job_metrics
from shared.store.jobs.index import FIRST_SCORE, QUEUE_SPAN, JobIndexes
from shared.store.jobs.job_metrics import MetricsSnapshot


@dataclass(frozen=True, slots=True)
class Load:
    """How full the queues are."""

    #: Queued jobs by queue.
    depths: dict[str, int]
    running: int
    oldest_wait_s: float


#: The fields of a row but for those that may be long.
_LIGHT = sorted(JobRow.model_fields.keys() - {"output", "raw_text", "tiles", "pages", "review"})


def _with_brief(values: Sequence[Any], brief: str) -> dict[str, Any]:
    fields = {name: v for name, v in zip(_LIGHT, values, strict=True) if v is not None}
    return {**fields, "output": brief} if fields else {}


class JobReader:
    """Reads jobs; every method raises StoreUnavailable without Redis."""

    def __init__(self, client: Client) -> None:
        self.redis = client
        self._indexes = JobIndexes(client)

    def tenant(self, job_id: str) -> str | None:
        """Return the tenant of a job; None for an unknown one."""
        with guard():
            tenant: str | None = self.redis.hget(keys.job(job_id), "tenant")
        return tenant

    def queue(self, job_id: str) -> str | None:
        """Return the queue for the doorbell of a job or tile that waits; None for any other."""
        with guard():
            names = ["status", "queue", "pool"]
            status, queue, pool = self.redis.hmget(keys.job(job_id), names)
        if status != JobStatus.QUEUED:
            return None
        return f"{keys.MODEL_QUEUE}{pool}" if pool else queue

    def page(
        self,
        tenant: str,
        *,
        limit: int,
        after: str | None = None,
        status: JobStatus | None = None,
        session_id: str | None = None,
        group: str | None = None,
    ) -> tuple[list[JobRow], bool]:
        """Return up to `limit` jobs, newest first, older than `after`, and whether more follow.

        Jobs of a newer version show what can be read of them, and a notice. Raises NotFound for an
        unknown `after`, and JobTooNew where not even their status is known here.
        """
        rows: list[JobRow] = []
        with guard():
            below = self._place(tenant, after) if after else None
            for ids in self._indexes.find(tenant, below, status, session_id, group):
                for first in range(0, len(ids), limit + 1):
                    rows += [
                        row
                        for row in self._rows(tenant, ids[first : first + limit + 1], session_id)
                        if status in (None, row.status)
                        and session_id in (None, row.session_id)
                        and group in (None, row.group)
                    ]
                    if len(rows) > limit:
                        return rows[:limit], True
        return rows, False

    def _place(self, tenant: str, after: str) -> int:
        """Return the number below which jobs are older than `after`, even if it was erased."""
        score = self.redis.zscore(keys.tenant_jobs(tenant), after)
        place, _, owner = (self.redis.get(keys.GONE + after) or "").partition(":")
        if score is None and owner != tenant:
            raise NotFound("The cursor is not the ID of a known job.", pointer="/after")
        return int(place if score is None else score)

    def _rows(self, tenant: str, ids: Sequence[str], session_id: str | None) -> list[JobRow]:
        fields = self._read_light(ids)
        dropped = [job_id for job_id, row in zip(ids, fields, strict=True) if not row]
        if dropped:
            # their rows have expired; removed here, the indexes need no sweeper
            self._indexes.forget(tenant, dropped, session_id)
        return [read_listed_row(row) for row in fields if row]

    def _read_light(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the fields of rows, {} for one that is gone; long outputs only begin."""
        pipe = self.redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hget(keys.job(job_id), "brief")
        briefs = pipe.execute()
        for job_id, brief in zip(ids, briefs, strict=True):
            key = keys.job(job_id)
            pipe.hmget(key, _LIGHT) if brief else pipe.hgetall(key)
        return [
            _with_brief(values, brief) if brief else values
            for values, brief in zip(pipe.execute(), briefs, strict=True)
        ]

    def load(self) -> Load:
        """Return how full the queues are."""
        with guard():
            # a full Redis refuses MULTI
            pipe = self.redis.pipeline(transaction=False)
            for first in FIRST_SCORE.values():
                pipe.zcount(keys.QUEUED, first, f"({first + QUEUE_SPAN}")
            pipe.zcard(keys.LEASES)
            pipe.zrange(keys.QUEUED_SINCE, 0, 0, withscores=True)
            pipe.smembers(keys.POOLS)
            pipe.time()
            *depths, running, oldest, pools, (seconds, micros) = pipe.execute()
            for pool in pools:
                pipe.zrange(keys.pooled(keys.QUEUED_SINCE, pool), 0, 0, withscores=True)
            starts = [first[0][1] for first in (oldest, *pipe.execute()) if first]
        now = seconds + micros / 1e6
        waited = now - min(starts) / 1000 if starts else 0.0
        names = [priority.value for priority in Priority]
        return Load(dict(zip(names, depths, strict=True)), running, round(max(0.0, waited), 3))

    def counters(self) -> dict[str, int]:
        """Return the monotonic counters by name."""
        with guard():
            return {name: int(n) for name, n in self.redis.hgetall(keys.COUNTERS).items()}

    def read_metrics(self) -> MetricsSnapshot:
        """Return the metrics of all finished jobs and deliveries."""
        with guard():
            return job_metrics.read(self.redis.hgetall(keys.FIGURES))

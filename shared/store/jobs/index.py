"""The indexes of a tenant's jobs: which of them have a status or belong to a conversation.

Queued jobs stand in the tenant's line and running ones have leases; all others are filed by the
scripts that change them. An older version changes jobs without filing them. All versions count what
they do, so that the counters say whether it did; then the tenant's indexes are completed first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from shared.jobs import JobStatus, Priority
from shared.store import keys
from shared.store.connection import Client, load_script
from shared.store.failures import tidying

#: The score of a queued job is its number plus that of its queue; no number will reach 2^43.
QUEUE_SPAN = 1 << 43
FIRST_SCORE = {priority: n * QUEUE_SPAN for n, priority in enumerate(Priority)}
#: Entries that are read in one round trip, where most of them are sought and where few may be.
_FEW_AT_ONCE = 100
_AT_ONCE = 500
#: Jobs that are filed in one step.
_FILED_AT_ONCE = 200

#: A job and its number.
Entry = tuple[str, int]


class _JobIndex(Protocol):
    """Jobs of one tenant by number."""

    def size(self) -> int:
        """Return about how many they are."""

    def below(self, number: int | None, most: int) -> list[Entry]:
        """Return the newest jobs with a smaller number, newest first; None is no bound."""

    def holds(self, ids: Sequence[str]) -> list[bool]:
        """Tell of each job whether it is one of them."""


class _FiledJobs:
    """The jobs in one sorted set."""

    def __init__(self, redis: Client, key: str) -> None:
        self._redis = redis
        self._key = key

    def size(self) -> int:
        return int(self._redis.zcard(self._key))

    def below(self, number: int | None, most: int) -> list[Entry]:
        bound = "+inf" if number is None else f"({number}"
        return _entries(
            self._redis.zrevrangebyscore(
                self._key, bound, "-inf", start=0, num=most, withscores=True
            )
        )

    def holds(self, ids: Sequence[str]) -> list[bool]:
        return _are_members(self._redis, self._key, ids)


class _QueuedJobs:
    """The jobs in a tenant's line, ordered by queue first, and those that may not start yet."""

    def __init__(self, redis: Client, tenant: str) -> None:
        self._redis = redis
        self._key = keys.LINE + tenant
        self._deferred = _FiledJobs(redis, keys.TENANT_DEFERRED + tenant)

    def size(self) -> int:
        return int(self._redis.zcard(self._key)) + self._deferred.size()

    def below(self, number: int | None, most: int) -> list[Entry]:
        pipe = self._redis.pipeline(transaction=False)
        for first in FIRST_SCORE.values():
            bound = f"({first + (QUEUE_SPAN if number is None else number)}"
            pipe.zrevrangebyscore(self._key, bound, first, start=0, num=most, withscores=True)
        entries = [
            (job_id, number % QUEUE_SPAN)
            for reply in pipe.execute()
            for job_id, number in _entries(reply)
        ]
        entries += self._deferred.below(number, most)
        return sorted(entries, key=lambda entry: -entry[1])[:most]

    def holds(self, ids: Sequence[str]) -> list[bool]:
        waiting = _are_members(self._redis, self._key, ids)
        deferred = self._deferred.holds(ids)
        return [one or other for one, other in zip(waiting, deferred, strict=True)]


class _RunningJobs:
    """The jobs that workers hold, and long ones between their cut and their end.

    There are no more leases than the workers have slots.
    """

    def __init__(self, redis: Client, tenant: str) -> None:
        entries = dict(_entries(redis.zrange(_split(tenant), 0, -1, withscores=True)))
        held = redis.zrange(keys.LEASES, 0, -1)
        for job_id, row in zip(
            held, _read_fields(redis, held, "tenant", "parent", "number"), strict=True
        ):
            if row[0] == tenant and not row[1]:
                entries[job_id] = int(row[2] or 0)
        self._entries = sorted(entries.items(), key=lambda entry: -entry[1])
        self._ids = set(entries)

    def size(self) -> int:
        return len(self._entries)

    def below(self, number: int | None, most: int) -> list[Entry]:
        older = (entry for entry in self._entries if number is None or entry[1] < number)
        return [entry for entry, _ in zip(older, range(most), strict=False)]

    def holds(self, ids: Sequence[str]) -> list[bool]:
        return [job_id in self._ids for job_id in ids]


class JobIndexes:
    """Finds the jobs of a tenant by what is asked of them."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._unfiled = load_script(redis, "jobs/unfiled")
        self._file = load_script(redis, "jobs/file")

    def find(
        self,
        tenant: str,
        below: int | None,
        status: JobStatus | None,
        session_id: str | None,
        group: str | None = None,
    ) -> Iterator[list[str]]:
        """Yield ids of jobs older than number `below`, newest first, some at a time.

        All that have the status and belong to the conversation and the group are among them, and
        others only if they have changed meanwhile.
        """
        if status or session_id is not None:
            self._complete(tenant)
        indexes = list(self._choose(tenant, status, session_id, group))
        smallest, *others = sorted(indexes, key=lambda index: index.size())
        while entries := smallest.below(below, _AT_ONCE if others else _FEW_AT_ONCE):
            below = entries[-1][1]
            ids = [job_id for job_id, _ in entries]
            for index in others:
                ids = [one for one, held in zip(ids, index.holds(ids), strict=True) if held]
            yield ids

    def _choose(
        self, tenant: str, status: JobStatus | None, session_id: str | None, group: str | None
    ) -> Iterator[_JobIndex]:
        if group is not None:
            yield _FiledJobs(self._redis, keys.group(tenant, group) + keys.GROUP_JOBS)
        if session_id is not None:
            yield _FiledJobs(self._redis, _of_session(tenant, session_id))
        if status is JobStatus.QUEUED:
            yield _QueuedJobs(self._redis, tenant)
        elif status is JobStatus.RUNNING:
            yield _RunningJobs(self._redis, tenant)
        elif status:
            yield _FiledJobs(self._redis, _ended(tenant, status.value))
        elif session_id is None and group is None:
            yield _FiledJobs(self._redis, keys.tenant_jobs(tenant))

    def forget(self, tenant: str, ids: Sequence[str], session_id: str | None) -> None:
        """Remove jobs whose rows have expired from the indexes in which they may stand."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.zrem(keys.tenant_jobs(tenant), *ids)
        for status in JobStatus:
            pipe.zrem(_ended(tenant, status.value), *ids)
        if session_id is not None:
            pipe.zrem(_of_session(tenant, session_id), *ids)
        with tidying():
            pipe.execute()

    def _complete(self, tenant: str) -> None:
        """File what an older version has left unfiled, if it has changed any job since."""
        unfiled = self._unfiled(keys=[], args=[tenant])
        if unfiled is None:
            return
        everything, number = _FiledJobs(self._redis, keys.tenant_jobs(tenant)), None
        while entries := everything.below(number, _FILED_AT_ONCE):
            self._file(keys=[], args=[tenant, "", *(job_id for job_id, _ in entries)])
            number = entries[-1][1]
        self._file(keys=[], args=[tenant, unfiled])


def _ended(tenant: str, status: str) -> str:
    return f"{keys.tenant_jobs(tenant)}/{status}"


def _split(tenant: str) -> str:
    return keys.tenant_jobs(tenant) + keys.JOBS_SPLIT


def _of_session(tenant: str, session_id: str) -> str:
    return keys.tenant_jobs(tenant) + keys.JOBS_OF_SESSION + session_id


def _entries(reply: Sequence[tuple[str, float]]) -> list[Entry]:
    return [(job_id, int(score)) for job_id, score in reply]


def _are_members(redis: Client, key: str, ids: Sequence[str]) -> list[bool]:
    pipe = redis.pipeline(transaction=False)
    for job_id in ids:
        pipe.zscore(key, job_id)
    return [score is not None for score in pipe.execute()]


def _read_fields(redis: Client, ids: Sequence[str], *names: str) -> list[Any]:
    pipe = redis.pipeline(transaction=False)
    for job_id in ids:
        pipe.hmget(keys.job(job_id), *names)
    return list(pipe.execute())

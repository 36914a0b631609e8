"""Follows accepted jobs, and checks that each ends exactly once, with its events and webhook."""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import redis

from shared.errors import StoreUnavailable
from shared.jobs import JobStatus
from shared.jobs.row import JobRow
from shared.settings import Settings
from shared.store import Store, keys
from shared.store.jobs.events import EventReader, JobEvent
from tests.chaos.faults import Account
from tests.chaos.listeners import CHAT, Heard
from tests.chaos.tally import add_up, differing_sums
from tests.chaos.trail import Trail
from tests.support.harness import RedisServer
from tests.support.servers.receivers import Receiver

_TENANT = "anonymous"
_CHUNK = 1000
#: Seconds in which canceled chats must have ended.
_CHATS_END_S = 30.0


class History(threading.Thread):
    """Reads all accepted jobs from Redis again and again, past any proxy, until stopped."""

    def __init__(self, server: RedisServer, account: Account, every_s: float) -> None:
        super().__init__(daemon=True)
        #: Appended to while it runs.
        self.accepted: list[str] = []
        self.ends: dict[str, str] = {}
        self._account = account
        self._every_s = every_s
        self._store = Store(Settings(redis_url=server.url))
        self._stopped = threading.Event()

    @property
    def violations(self) -> list[str]:
        """The broken guarantees of the account."""
        return self._account.violations

    def run(self) -> None:
        """Look every `every_s` seconds; Redis may be down meanwhile."""
        while not self._stopped.wait(self._every_s):
            with contextlib.suppress(redis.RedisError):
                self.look()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped.set()
        self.join()

    def look(self) -> None:
        """Record new ends, and report ends that changed."""
        known = list(self.accepted)
        for first in range(0, len(known), _CHUNK):
            part = known[first : first + _CHUNK]
            pipe = self._store.redis.pipeline(transaction=False)
            for job_id in part:
                pipe.hget(keys.job(job_id), "status")
            for job_id, status in zip(part, pipe.execute(), strict=True):
                self._note(job_id, status)

    def _note(self, job_id: str, status: str | None) -> None:
        ended = self.ends.get(job_id)
        if ended is not None and status != ended:
            self._account.violations.append(f"{job_id}: {ended} became {status}")
        elif status is not None and JobStatus(status).terminal:
            self.ends[job_id] = status

    def wait(self, jobs: int, patience_s: float) -> None:
        """Wait until `jobs` have ended; give up if none ends for `patience_s` seconds."""
        ended, changed = -1, time.monotonic()
        while len(self.ends) < jobs and time.monotonic() - changed < patience_s:
            if len(self.ends) > ended:
                ended, changed = len(self.ends), time.monotonic()
            time.sleep(0.2)

    @property
    def unended(self) -> int:
        """How many accepted jobs have not ended yet, as far as it has looked."""
        return len(self.accepted) - len(self.ends)

    def since_end_s(self, job_id: str) -> float | None:
        """Return how long ago a job ended, None if it has not, or Redis is down."""
        with contextlib.suppress(redis.RedisError):
            completed_ms = self._store.redis.hget(keys.job(job_id), "completed_ms")
            if completed_ms:
                seconds, micros = self._store.redis.time()
                return float(seconds + micros / 1e6 - int(completed_ms) / 1000)
        return None

    def check(
        self,
        receiver: Receiver | None = None,
        heard: Sequence[Heard] = (),
        unended: Sequence[Trail] = (),
    ) -> None:
        """Check every job once more, with its events, its webhook and what clients have read."""
        account, ids = self._account, self.accepted
        if len(set(ids)) != len(ids):
            account.violations.append("two submissions share a job")
        chats = self._read_chats()
        submitted = self._store.counters().get("jobs.submitted")
        if submitted != len(ids) + len(chats):
            account.violations.append(f"{len(ids)} accepted, but {submitted} stored")
        self._check_chats(chats)
        self._check_usage()
        for one in heard:
            self._check_heard(one)
        self.violations.extend(f"{trail}; {self._describe(trail.job_id)}" for trail in unended)
        load = self._store.load()
        if load.running or sum(load.depths.values()):
            account.violations.append(f"the store still holds work: {load}")
        events = EventReader(self._store.redis, 1.0)
        for job_id in ids:
            self._check_one(job_id, events)
        if receiver:
            self._check_webhooks(receiver)
        self._store.redis.close()

    def _read_chats(self) -> list[JobRow]:
        """Return the jobs of streamed chats, the rest of the tenant's, once all have ended."""
        deadline = time.monotonic() + _CHATS_END_S
        while True:
            ids = set(self._store.redis.zrange(keys.tenant_jobs(_TENANT), 0, -1))
            rows = [self._store.get(job_id, _TENANT) for job_id in ids - set(self.accepted)]
            if all(row.status.terminal for row in rows) or time.monotonic() > deadline:
                return rows
            time.sleep(0.5)

    def _check_chats(self, chats: Sequence[JobRow]) -> None:
        """Check that each question was answered by one job, however often it was asked again."""
        answered: collections.Counter[str] = collections.Counter()
        for row in chats:
            if not row.input.prompt.startswith(CHAT):
                self.violations.append(f"{row.id}: stored for nobody: {row.input.prompt}")
            elif not row.status.terminal:
                self.violations.append(f"{row.id}: a chat is stuck in {row.status}")
            elif row.status is JobStatus.SUCCEEDED:
                answered[row.input.prompt] += 1
            elif row.status is not JobStatus.CANCELED:
                self.violations.append(f"{row.id}: a chat is {row.status} {row.error}")
        for prompt, count in answered.items():
            if count > 1:
                self.violations.append(f"{prompt}: {count} jobs have answered it")

    def _check_usage(self) -> None:
        """Check that the sums of the service are those over its jobs, whatever died meanwhile."""
        ids = self._store.redis.zrange(keys.tenant_jobs(_TENANT), 0, -1)
        sums = add_up(self._store.get(job_id, _TENANT) for job_id in ids)
        self.violations.extend(differing_sums(self._store.redis, sums))
        self._account.used = {period: used.model_dump() for (_, period), used in sums.items()}

    def _check_heard(self, heard: Heard) -> None:
        """Check that a stream that ended as whole said what the answer says."""
        text = self._store.get(heard.job_id, _TENANT).streamed_text
        if heard.text != text:
            self.violations.append(
                f"{heard.job_id}: {heard.kind} read {heard.text!r}, not {text!r}"
            )

    def _describe(self, job_id: str) -> str:
        """Return what a job's row and its last event say."""
        names = ("status", "phase", "attempt", "commits", "created_ms", "started_ms")
        row = self._store.redis.hmget(keys.job(job_id), *names, "completed_ms")
        latest = self._store.redis.xrevrange(keys.events(job_id), count=1)
        return f"its row: {dict(zip((*names, 'completed_ms'), row, strict=True))}, event {latest}"

    def _check_one(self, job_id: str, events: EventReader) -> None:
        account = self._account
        try:
            row = self._store.get(job_id, _TENANT)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001
            account.violations.append(f"{job_id}: lost, {error!r}")
            return
        account.ends[row.status.value] += 1
        account.repeated += max(0, row.attempt - 1)
        stream = events.read(job_id, 0)
        terminal = [event.type for event in stream if event.terminal]
        if job_id not in self.ends:
            account.violations.append(f"{job_id}: stuck in {row.status}")
        elif row.status.value != self.ends[job_id] or row.commits != 1:
            account.violations.append(f"{job_id}: {row.status} with {row.commits} commits")
        elif terminal != [f"job.{row.status.value}"] or not stream[-1].terminal:
            account.violations.append(f"{job_id}: events end in {terminal}")
        elif row.status is not JobStatus.SUCCEEDED:
            account.violations.append(f"{job_id}: {row.status} {row.error}")
        elif events.text_until(job_id, stream[-1].seq or 0) != row.streamed_text:
            account.violations.append(f"{job_id}: its events say something else than its answer")
        else:
            self._check_pages(row, stream)

    def _check_pages(self, row: JobRow, stream: Sequence[JobEvent]) -> None:
        """Check that each page of a document was told of once, and that none is missing."""
        if row.input.document is None or row.output is None:
            return
        wanted = collections.Counter(row.input.document.pages)
        told_of = collections.Counter(e.data["page"] for e in stream if e.type == "output.page")
        if told_of != wanted:
            self.violations.append(f"{row.id}: pages {dict(told_of)} became ready")
        outputs = row.output["pages"]
        if collections.Counter(page["page"] for page in outputs) != wanted:
            self.violations.append(f"{row.id}: its answer has other pages")
        self.violations.extend(
            f"{row.id}: page {page['page']} is a gap: {page['warnings']}"
            for page in outputs
            if page["gap"]
        )

    def _check_webhooks(self, receiver: Receiver) -> None:
        """Check that all messages to one path, which belongs to one job, have one id."""
        ids_of: dict[str, set[str]] = collections.defaultdict(set)
        for request in list(receiver.requests):
            ids_of[request.path].add(request.headers["webhook-id"])
        self._account.webhooks = len(ids_of)
        self._account.repeated_webhooks = len(receiver.requests) - len(ids_of)
        for path, ids in ids_of.items():
            if len(ids) != 1:
                self._account.violations.append(f"webhook {path}: ids {ids}")


def undelivered(receiver: Receiver, paths: Sequence[str], patience_s: float) -> list[str]:
    """Return the paths that got no message within `patience_s` seconds."""
    deadline = time.monotonic() + patience_s
    while True:
        called_paths: set[Any] = {request.path for request in list(receiver.requests)}
        missing = [path for path in paths if path not in called_paths]
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(0.2)

"""Batches in Redis: each step of one is a Lua script, so that a pump may die at any of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from shared.errors import NotFound
from shared.jobs import JobStatus
from shared.jobs.row import JsonDict, JsonList, dump
from shared.settings import Settings
from shared.store import keys
from shared.store.blobs.file_content import WrittenFile
from shared.store.connection import Client, load_script, pairs
from shared.store.failures import confirm, guard
from shared.webhooks import Webhook, new_delivery_id

BatchStatus = Literal[
    "validating", "in_progress", "cancelling", "completed", "failed", "expired", "cancelled"
]
UNFINISHED = ("validating", "in_progress", "cancelling")
_SCRIPTS = ("create", "take", "hold", "start", "admit", "settle", "finish", "cancel")
#: The blobs of a batch's output and errors; None for a file that is empty, or lies in Redis.
Results = tuple[WrittenFile | None, WrittenFile | None]
_IN_REDIS: Results = (None, None)
#: Milliseconds for which a pump has a batch before another may take it.
LEASE_MS = 10_000

_Blank = BeforeValidator(lambda value: None if value == "" else value)


class Ending(IntEnum):
    """How it went to end a batch."""

    #: It is another pump's by now.
    LOST = 0
    ENDED = 1
    #: There are more results than were written, or what was written has waited for too long.
    STALE = 2
    #: Lines have no result: Redis came back without its newest writes.
    INCOMPLETE = 3


class Admission(IntEnum):
    """How it went to note the job of a line."""

    #: The batch is another pump's by now.
    LOST = 0
    DONE = 1
    #: Redis came back without this job or without lines before it, which come first.
    TOO_EARLY = 2


def new_batch_id() -> str:
    """Return `batch_` and 128 random bits."""
    return "batch_" + secrets.token_hex(16)


class Batch(BaseModel):
    """A batch; times are milliseconds of Redis' clock."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    tenant: str
    status: BatchStatus
    owner: str = ""
    endpoint: str
    input_file: str
    output_file: str
    error_file: str
    completion_window: str
    metadata: JsonDict = None
    #: OpenAI's `errors.data` of a batch whose lines were refused.
    errors: JsonList = ()
    created_ms: int
    expires_ms: int
    in_progress_ms: Annotated[int | None, _Blank] = None
    cancelling_ms: Annotated[int | None, _Blank] = None
    ended_ms: Annotated[int | None, _Blank] = None
    #: The first line that has neither a job nor a result; lines are counted from 0.
    next: int
    total: int
    completed: int
    failed: int

    @property
    def name(self) -> str:
        """Return what names it among all tenants."""
        return f"{self.tenant}:{self.id}"


class BatchStore:
    """Stores batches; every method raises StoreUnavailable without Redis."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._redis = client
        self._kept_ms = settings.file_ttl_s * 1000
        self._scripts = {name: load_script(client, f"batches/{name}") for name in _SCRIPTS}

    def _run(self, name: str, *args: Any) -> Any:
        with guard():
            return self._scripts[name](keys=[], args=list(args))

    def create(
        self, tenant: str, fields: Mapping[str, Any], window_s: int, webhook: Webhook | None
    ) -> Batch:
        """Store a batch, which a pump then takes; raises OutcomeUnknown."""
        batch_id = new_batch_id()
        values = {
            name: value if isinstance(value, str) else dump(value) for name, value in fields.items()
        } | (webhook.fields(tenant) if webhook else {})
        flat = [part for pair in values.items() for part in pair]
        args: list[Any] = [tenant, batch_id, window_s * 1000, self._kept_ms, *flat]
        row = confirm(lambda: self._scripts["create"](keys=[], args=args), batch_id=batch_id)
        return Batch(**pairs(row))

    def get(self, tenant: str, batch_id: str) -> Batch:
        """Return a batch; raises NotFound."""
        with guard():
            fields = self._redis.hgetall(keys.batch(tenant, batch_id))
        if not fields:
            raise NotFound("There is no batch under this ID.")
        return Batch(**fields)

    def page(self, tenant: str, limit: int, after: str | None) -> tuple[list[Batch], bool]:
        """Return up to `limit` batches, newest first, and whether more follow."""
        index = keys.TENANT_BATCHES + tenant
        with guard():
            ids = self._redis.zrevrange(index, 0, -1)
        batches: list[Batch] = []
        for batch_id in ids[ids.index(after) + 1 if after in ids else 0 :]:
            if len(batches) == limit:
                return batches, True
            try:
                batches.append(self.get(tenant, batch_id))
            except NotFound:
                # its time is over
                with guard():
                    self._redis.zrem(index, batch_id)
        return batches, False

    def cancel(self, tenant: str, batch_id: str) -> Batch:
        """Ask for the end of a batch; one that has ended stays as it is. Raises NotFound."""
        args = [f"{tenant}:{batch_id}"]
        row = confirm(lambda: self._scripts["cancel"](keys=[], args=args), batch_id=batch_id)
        if row is None:
            raise NotFound("There is no batch under this ID.")
        return Batch(**pairs(row))

    # the pump's side

    def take(self, owner: str) -> Batch | None:
        """Take the batch that nobody has worked on for longest; None when there is none."""
        row = self._run("take", owner, LEASE_MS)
        return Batch(**pairs(row)) if row else None

    def hold(self, batch: Batch, owner: str) -> Batch | None:
        """Keep a batch for some more seconds; None when it is somebody else's by now."""
        row = self._run("hold", batch.name, owner, LEASE_MS)
        return Batch(**pairs(row)) if row else None

    def give_back(self, batch: Batch, owner: str) -> None:
        """Let others take a batch."""
        self._run("hold", batch.name, owner, 0)

    def start(self, batch: Batch, owner: str, total: int) -> bool:
        """Note that the lines are checked; return whether the batch is still this owner's."""
        return bool(self._run("start", batch.name, owner, total))

    def jobs_in_hand(self, batch: Batch) -> dict[int, str]:
        """Return the jobs that have not been settled, by their lines."""
        with guard():
            jobs = self._redis.hgetall(keys.batch(batch.tenant, batch.id) + keys.BATCH_OPEN)
        return {int(line): job_id for line, job_id in jobs.items()}

    def ended_jobs(self, jobs: Mapping[int, str]) -> list[int]:
        """Return the lines whose jobs have ended or are gone."""
        with guard():
            pipe = self._redis.pipeline(transaction=False)
            for job_id in jobs.values():
                pipe.hget(keys.job(job_id), "status")
            statuses = pipe.execute()
        return [
            line
            for line, status in zip(jobs, statuses, strict=True)
            if status is None or JobStatus(status).terminal
        ]

    def admit(self, batch: Batch, owner: str, line: int, job_id: str) -> Admission:
        """Note the job of a line."""
        return Admission(self._run("admit", batch.name, owner, line, job_id))

    def settle(self, batch: Batch, line: int, text: str, *, failed: bool, job_id: str = "") -> bool:
        """Add the result of a line to its file; `job_id` is its job, if it has one.

        Return False if the line has a result already, or begins anew because Redis has lost some.
        """
        kind, file_id = ("failed", batch.error_file) if failed else ("completed", batch.output_file)
        return bool(self._run("settle", batch.name, line, job_id, kind, file_id, text))

    def finish(
        self,
        batch: Batch,
        owner: str,
        status: BatchStatus,
        errors: list[dict[str, Any]],
        results: Results = _IN_REDIS,
    ) -> Ending:
        """End a batch with its files, whose contents may lie outside Redis."""
        delivery = new_delivery_id()
        args: list[Any] = [batch.name, owner, status, dump(errors), self._kept_ms, delivery]
        for file in results:
            place = (file.blob, file.checksum, file.ends, file.pieces) if file else ("", "", "", 0)
            args.extend(place)
        return Ending(self._run("finish", *args))

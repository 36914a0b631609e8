"""The group store: jobs that a caller has given one name, and how many of them have ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from shared.errors import NotFound
from shared.jobs.row import JsonDict, dump
from shared.store import keys
from shared.store.connection import Client, load_script, pairs
from shared.store.failures import confirm, guard, tidying
from shared.webhooks import Webhook

_SCRIPTS = ("put", "read", "cancel")
_Blank = BeforeValidator(lambda value: None if value == "" else value)


class Group(BaseModel):
    """A group of jobs; times are milliseconds of Redis' clock."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    created_ms: int
    updated_ms: int
    #: When its promised jobs had all ended; None before, and again while later ones run.
    completed_ms: int | None = None
    #: Jobs that its caller has promised; None if nothing was said.
    size: Annotated[int | None, _Blank] = None
    metadata: JsonDict = None
    webhook: Annotated[str | None, _Blank] = None
    #: Jobs that were ever added, and how those ended that have.
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0
    expired: int = 0
    #: Erased before their end.
    erased: int = 0
    #: Jobs that have not ended, and those of them that run.
    unfinished: int = 0
    running: int = 0
    #: The unfinished job that is taken last.
    last: Annotated[str | None, _Blank] = None


class GroupStore:
    """Reads and changes groups; every method raises StoreUnavailable without Redis."""

    def __init__(self, client: Client) -> None:
        self._redis = client
        self._scripts = {name: load_script(client, f"groups/{name}") for name in _SCRIPTS}

    def put(
        self,
        tenant: str,
        group_id: str,
        ttl_s: int,
        *,
        size: int | None,
        metadata: Mapping[str, Any],
        webhook: Webhook | None,
    ) -> Group:
        """Say what is expected of a group, which begins with that; raises OutcomeUnknown."""
        named = webhook.fields(tenant) if webhook else {"webhook": ""}
        said = {"size": "" if size is None else size, "metadata": dump(dict(metadata)), **named}
        flat = [part for pair in said.items() for part in pair]
        args: list[Any] = [tenant, group_id, ttl_s * 1000, *flat]
        confirm(lambda: self._scripts["put"](keys=[], args=args), group=group_id)
        return self.get(tenant, group_id)

    def get(self, tenant: str, group_id: str) -> Group:
        """Return a group; raises NotFound."""
        with guard():
            reply = self._scripts["read"](keys=[], args=[tenant, group_id])
        if reply is None:
            raise NotFound("There is no group under this ID.")
        flat, unfinished, running, last = reply
        return Group(**pairs(flat), unfinished=unfinished, running=running, last=last)

    def page(self, tenant: str, limit: int) -> list[Group]:
        """Return up to `limit` groups, the last used first."""
        index = keys.TENANT_GROUPS + tenant
        with guard():
            ids = self._redis.zrevrange(index, 0, limit - 1)
        groups = []
        for group_id in ids:
            try:
                groups.append(self.get(tenant, group_id))
            except NotFound:
                # its time is over
                with guard(), tidying():
                    self._redis.zrem(index, group_id)
        return groups

    def cancel(self, tenant: str, group_id: str) -> None:
        """Cancel all jobs of a group that have not ended; raises OutcomeUnknown."""
        # Redis may come back without the first of several steps before the last one is taken
        while self._cancel_all(tenant, group_id):
            pass

    def _cancel_all(self, tenant: str, group_id: str) -> bool:
        """Ask each job to stop; return whether that took several steps, which changed something."""
        after, changed = self._cancel_some(tenant, group_id, "")
        if not after:
            return False
        while after:
            after, more = self._cancel_some(tenant, group_id, after)
            changed += more
        return changed > 0

    def _cancel_some(self, tenant: str, group_id: str, after: str) -> tuple[str, int]:
        args = [tenant, group_id, after]
        reply = confirm(lambda: self._scripts["cancel"](keys=[], args=args), group=group_id)
        return str(reply[0]), int(reply[1])

    def failed_jobs(self, tenant: str, group_id: str, most: int) -> list[str]:
        """Return up to `most` jobs that failed or expired and were not retried, oldest first."""
        with guard():
            failed: list[str] = self._redis.zrange(self._failed(tenant, group_id), 0, most - 1)
        return failed

    def count_failed(self, tenant: str, group_id: str) -> int:
        """Count the jobs that failed or expired and were not retried."""
        with guard():
            return int(self._redis.zcard(self._failed(tenant, group_id)))

    def forget_failed(self, tenant: str, group_id: str, job_id: str) -> None:
        """Note that a job was retried, or is gone."""
        with guard():
            self._redis.zrem(self._failed(tenant, group_id), job_id)

    @staticmethod
    def _failed(tenant: str, group_id: str) -> str:
        return keys.group(tenant, group_id) + keys.GROUP_FAILED

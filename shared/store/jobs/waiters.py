"""Requests that wait for a job over HTTP: the last one that leaves may cancel it."""

from __future__ import annotations

import secrets

from shared.store.connection import Client, load_script
from shared.store.failures import guard


def new_waiter() -> str:
    """Return a name for one request that waits; `Store.add` makes it wait for its job."""
    return secrets.token_hex(8)


class Waiters:
    """Knows which requests wait for a job.

    A request whose gateway dies is never known to have left; its job then runs to its end. Every
    method raises StoreUnavailable without Redis.
    """

    def __init__(self, client: Client) -> None:
        self._leave_script = load_script(client, "jobs/leave")

    def leave(self, job_id: str, tenant: str, waiter: str, *, for_good: bool) -> str:
        """Note that a request has left; the job is canceled when the last one leaves for good.

        One that may come back leaves twice: at once, and `for_good` when it has not come. Returns
        `kept` for an unfinished job that goes on, else what `Store.cancel` returns, or `missing`.
        """
        with guard():
            return str(
                self._leave_script(keys=[], args=[job_id, tenant, waiter, "1" if for_good else ""])
            )

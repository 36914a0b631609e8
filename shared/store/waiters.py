"""Requests that wait for a job over HTTP: a client that reconnects keeps its job alive."""

from __future__ import annotations

from shared.store import keys
from shared.store.connection import Client, load_script
from shared.store.failures import guard

#: Far longer than any client waits before it comes back.
_TTL_S = 3600


class Waiters:
    """Counts the requests that waited for a job; only the newest may cancel it by leaving.

    Every method raises StoreUnavailable without Redis.
    """

    def __init__(self, client: Client) -> None:
        self._redis = client
        self._join = load_script(client, "jobs/join")

    def join(self, job_id: str) -> int:
        """Count one more and return its number, from 1; 0 for a job that is gone."""
        with guard():
            return int(self._join(keys=[], args=[job_id, _TTL_S]))

    def newest(self, job_id: str) -> int:
        """Return the number of the request that joined last, 0 when that was long ago."""
        with guard():
            return int(self._redis.get(keys.job(job_id) + keys.JOB_WAITERS) or 0)

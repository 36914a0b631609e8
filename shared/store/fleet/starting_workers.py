"""What workers do before they have a model, and why those that gave up did."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass

from shared.jobs.row import dump
from shared.long_steps import StepKind
from shared.store import keys
from shared.store.connection import Client
from shared.store.failures import guard, tidying


@dataclass(frozen=True, slots=True)
class StartingWorker:
    """A worker that starts, or could not; its fields are part of the protocol."""

    #: Celery's node name: the next process of that name takes its place.
    name: str
    model: str
    #: What it does, for the operator, and the kind of that.
    step: str = ""
    kind: StepKind = "prepare"
    #: What is done of the step; None while unknown.
    percent: int | None = None
    seconds_left: float | None = None
    #: Kind of the reason for which it gave up, and the reason in one line; "" while it goes on.
    problem: str = ""
    reason: str = ""


class StartingWorkers:
    """Starting workers in Redis, where they expire; raises StoreUnavailable without Redis."""

    def __init__(self, client: Client) -> None:
        self._redis = client

    def tell(self, worker: StartingWorker, ttl_s: float) -> None:
        """Publish what a worker does, for so many seconds."""
        with guard():
            pipe = self._redis.pipeline(transaction=True)
            pipe.set(keys.starting_worker(worker.name), dump(asdict(worker)), px=int(ttl_s * 1000))
            pipe.zadd(keys.STARTING, {worker.name: time.time()})
            pipe.execute()

    def forget(self, name: str) -> None:
        """Remove a worker that has started."""
        with guard():
            self._redis.delete(keys.starting_worker(name))
            self._redis.zrem(keys.STARTING, name)

    def list_all(self) -> list[StartingWorker]:
        """Return those that start now, or gave up lately."""
        with guard():
            names = self._redis.zrange(keys.STARTING, 0, -1)
            values = self._redis.mget([keys.starting_worker(n) for n in names]) if names else []
            expired = [n for n, value in zip(names, values, strict=True) if value is None]
            if expired:
                with tidying():
                    self._redis.zrem(keys.STARTING, *expired)
        return [_parse(value) for value in values if value is not None]


def _parse(text: str) -> StartingWorker:
    fields = json.loads(text)
    known = StartingWorker.__dataclass_fields__
    # a newer worker may send fields that we do not know
    return StartingWorker(**{name: value for name, value in fields.items() if name in known})

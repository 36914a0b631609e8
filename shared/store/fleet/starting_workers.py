"""What workers do before they have a model, and why those that gave up did."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace

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
    #: When it last said so, in Unix seconds by its own clock; 0 until it was stored.
    reported_s: float = 0.0

    @property
    def goes_on(self) -> bool:
        """Tell whether it has not given up."""
        return not self.problem


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
            reports = dict(self._redis.zrange(keys.STARTING, 0, -1, withscores=True))
            values = self._redis.mget(map(keys.starting_worker, reports)) if reports else []
            states = dict(zip(reports, values, strict=True))
            expired = [name for name, value in states.items() if value is None]
            if expired:
                with tidying():
                    self._redis.zrem(keys.STARTING, *expired)
        return [
            replace(_parse(value), reported_s=reports[name])
            for name, value in states.items()
            if value is not None
        ]


def _parse(text: str) -> StartingWorker:
    fields = json.loads(text)
    known = StartingWorker.__dataclass_fields__
    # a newer worker may send fields that we do not know
    return StartingWorker(**{name: value for name, value in fields.items() if name in known})

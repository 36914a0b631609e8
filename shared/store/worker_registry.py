"""The worker registry: the heartbeats of the workers that are up."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

from shared.jobs.row import dump
from shared.prediction.heartbeat import Heartbeat
from shared.store import keys
from shared.store.connection import Client
from shared.store.failures import guard, tidying

#: Seconds for which a model counts as served whose last worker is gone: one that loads a large
#: model anew needs minutes.
_REMEMBERED_S = 600


class WorkerRegistry:
    """Heartbeats in Redis, which expire; every method raises StoreUnavailable without Redis."""

    def __init__(self, client: Client, ttl_s: float) -> None:
        self._redis = client
        self._ttl_s = ttl_s

    def beat(self, heartbeat: Heartbeat) -> None:
        """Publish a heartbeat; it is fresh for the registry's time to live."""
        with guard():
            pipe = self._redis.pipeline(transaction=True)
            pipe.set(keys.worker(heartbeat.id), dump(asdict(heartbeat)), px=int(self._ttl_s * 1000))
            pipe.zadd(keys.WORKERS, {heartbeat.id: time.time()})
            if heartbeat.pools:
                pipe.set(keys.SERVES + heartbeat.model, 1, px=int(self._ttl_s * 1000))
                pipe.zadd(keys.MODELS_SEEN, {heartbeat.model: time.time()})
                pipe.zremrangebyscore(keys.MODELS_SEEN, "-inf", time.time() - _REMEMBERED_S)
            pipe.execute()

    def forget(self, worker_id: str) -> None:
        """Remove a worker that has stopped."""
        with guard():
            self._redis.delete(keys.worker(worker_id))
            self._redis.zrem(keys.WORKERS, worker_id)

    def models_seen(self) -> frozenset[str]:
        """Return the models that are served, or were a moment ago: their workers may come back."""
        with guard():
            names = self._redis.zrangebyscore(keys.MODELS_SEEN, time.time() - _REMEMBERED_S, "+inf")
        return frozenset(names)

    def fresh(self) -> list[Heartbeat]:
        """Return the heartbeats that have not expired."""
        with guard():
            ids = self._redis.zrange(keys.WORKERS, 0, -1)
            values = self._redis.mget([keys.worker(i) for i in ids]) if ids else []
            expired = [i for i, value in zip(ids, values, strict=True) if value is None]
            if expired:
                with tidying():
                    self._redis.zrem(keys.WORKERS, *expired)
        return [_parse(value) for value in values if value is not None]


def _parse(text: str) -> Heartbeat:
    fields = json.loads(text)
    known = Heartbeat.__dataclass_fields__
    # a newer worker may send fields that we do not know
    return Heartbeat(**{name: value for name, value in fields.items() if name in known})

"""The worker registry: the heartbeats of the workers that are up."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict

from shared.jobs.row import dump
from shared.prediction.heartbeat import Heartbeat
from shared.store import keys
from shared.store.connection import Client
from shared.store.failures import confirm, guard, tidying

#: A worker that was killed leaves its key behind.
_DRAIN_TTL_S = 30 * 86_400

#: Seconds for which jobs that named no model wait for a worker of theirs that has gone: it may be
#: starting again. Then any other answers them.
_AWAITED_S = 60

#: Seconds for which a model counts as served whose last worker is gone: one that loads a large
#: model anew needs minutes.
_REMEMBERED_S = 600


class WorkerRegistry:
    """Heartbeats in Redis, which expire; every method raises StoreUnavailable without Redis."""

    def __init__(self, client: Client, ttl_s: float) -> None:
        self._redis = client
        self._ttl_s = ttl_s
        #: `time.monotonic()` from which it may look for older workers again.
        self._look_at = 0.0

    def beat(self, heartbeat: Heartbeat) -> bool:
        """Publish a heartbeat, which is fresh for the registry's time to live.

        Returns whether an operator has asked the worker to take no more jobs.
        """
        with guard():
            pipe = self._redis.pipeline(transaction=True)
            pipe.set(keys.worker(heartbeat.id), dump(asdict(heartbeat)), px=int(self._ttl_s * 1000))
            pipe.zadd(keys.WORKERS, {heartbeat.id: time.time()})
            pipe.exists(keys.DRAIN + heartbeat.id)
            if heartbeat.pools:
                pipe.set(keys.SERVES + heartbeat.model, 1, px=int(self._ttl_s * 1000))
                pipe.set(keys.AWAITED + heartbeat.model, 1, ex=_AWAITED_S)
                pipe.zadd(keys.MODELS_SEEN, {heartbeat.model: time.time()})
                pipe.zremrangebyscore(keys.MODELS_SEEN, "-inf", time.time() - _REMEMBERED_S)
                pipe.set(keys.FIRST_MODEL, heartbeat.model, nx=True, ex=_REMEMBERED_S)
                pipe.get(keys.FIRST_MODEL)
            answers = pipe.execute()
            if heartbeat.pools:
                self._keep_first_model(heartbeat.model, answers[-1], is_new=bool(answers[-2]))
            return bool(answers[2])

    def forget(self, worker_id: str) -> None:
        """Remove a worker that has stopped."""
        with guard():
            self._redis.delete(keys.worker(worker_id), keys.DRAIN + worker_id)
            self._redis.zrem(keys.WORKERS, worker_id)

    def _keep_first_model(self, own: str, first: str, *, is_new: bool) -> None:
        """Remember the model that was served first, for as long as it is, or was a moment ago."""
        is_due = is_new or (first != own and time.monotonic() >= self._look_at)
        is_silent = is_due and not self._redis.exists(keys.SERVES + first)
        older = self._models_of_older() if is_new or is_silent else []
        if is_new and older and own not in older:
            first = older[0]
            self._redis.set(keys.FIRST_MODEL, first, ex=_REMEMBERED_S)
        if first in older:
            self._redis.set(keys.AWAITED + first, 1, ex=_AWAITED_S)
        if first in (own, *older):
            self._redis.expire(keys.FIRST_MODEL, _REMEMBERED_S)

    def _models_of_older(self) -> list[str]:
        """Return the models of workers that know of no others; reads all heartbeats."""
        self._look_at = time.monotonic() + _AWAITED_S / 4
        return sorted({worker.model for worker in self.fresh() if not worker.pools})

    def models_seen(self) -> frozenset[str]:
        """Return the models that are served, or were a moment ago: their workers may come back."""
        with guard():
            names = self._redis.zrangebyscore(keys.MODELS_SEEN, time.time() - _REMEMBERED_S, "+inf")
        return frozenset(names)

    def models_last_seen(self) -> frozenset[str]:
        """Return the models that the last workers served, however long they are gone."""
        with guard():
            return frozenset(self._redis.zrange(keys.MODELS_SEEN, 0, -1))

    def drain(self, worker_id: str) -> None:
        """Ask a worker to take no more jobs and to finish those that it has."""
        confirm(lambda: self._redis.set(keys.DRAIN + worker_id, 1, ex=_DRAIN_TTL_S))

    def resume(self, worker_id: str) -> None:
        """Let a worker take jobs again."""
        confirm(lambda: self._redis.delete(keys.DRAIN + worker_id))

    def drained(self, worker_ids: Sequence[str]) -> set[str]:
        """Return those of the workers that are asked to take no more jobs."""
        if not worker_ids:
            return set()
        with guard():
            asked = self._redis.mget([keys.DRAIN + one for one in worker_ids])
        return {one for one, value in zip(worker_ids, asked, strict=True) if value is not None}

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

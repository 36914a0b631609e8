"""Forecasts: all that a prediction reads from Redis, and how accurate predictions were."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.jobs import Priority
from shared.jobs.parameters.route import Route
from shared.prediction.cost_model import Backlog, FleetSnapshot
from shared.prediction.work_ahead import HeldTiles, predict_work_s
from shared.store import keys
from shared.store.connection import Client, load_script
from shared.store.failures import guard
from shared.store.fleet.worker_registry import WorkerRegistry
from shared.store.fleet.workload_replies import read_held, read_running, read_waiting
from shared.store.jobs.index import FIRST_SCORE, QUEUE_SPAN

#: Ratios of actual to predicted seconds are counted in steps of this factor.
RATIO_STEP = 1.1
#: Steps up and down beyond which all ratios are one, as in finish.lua.
RATIO_STEPS = 30
#: For each queue, the score below which a tenant's jobs come before its new one.
LAST_SCORES = [first + QUEUE_SPAN for first in FIRST_SCORE.values()]
#: What stands between a kind of jobs and the model that has answered them, as in finish.lua.
MODEL_OF_KIND = "\n"
#: Running jobs that are read one by one.
_MAX_RUNNING = 256
#: Waiting jobs that are read one by one; the others count as mean ones.
_MAX_WAITING = 32
#: Long jobs whose tiles are counted one by one, and those that a prediction looks at.
_MAX_LONG, _MAX_LONG_AHEAD = 256, 16
#: Seconds for which a queue position counts as current.
_FRESH_S = 0.05
#: Tokens of an answer of whose kind none was counted yet; less than the longest one may have.
_UNKNOWN_TOKENS = 64.0
#: Fewer ratios say nothing about the tail.
_MIN_RATIOS = 20
#: Tail until it has been measured.
_DEFAULT_TAIL = 2.0


#: Of jobs that wait for all workers alike.
_ALL = Route()


def _of_model(learned: dict[str, float], model: str) -> dict[str, float]:
    """Return what was learned by kind of job: of this model, else of all models together."""
    mark = f"{MODEL_OF_KIND}{model}"
    everywhere = {kind: value for kind, value in learned.items() if MODEL_OF_KIND not in kind}
    own = {k.removesuffix(mark): v for k, v in learned.items() if k.endswith(mark)}
    return everywhere | own


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Where a tenant's new job would stand, and how full the service was, at one moment."""

    #: Jobs that would be taken before it, by its queue.
    ahead: Mapping[Priority, int]
    queued: int
    running: int
    #: That moment, monotonic seconds.
    seen_s: float

    @classmethod
    def parse(cls, reply: Any) -> QueuePosition:
        """Return the position of a reply of standing.lua."""
        ahead, queued, running = reply
        by_queue = dict(zip(Priority, map(int, ahead), strict=True))
        return cls(by_queue, int(queued), int(running), time.monotonic())

    @property
    def fresh(self) -> bool:
        """Tell whether it can be taken for the present."""
        return time.monotonic() - self.seen_s < _FRESH_S

    def place(self, priority: Priority) -> tuple[int, int, int]:
        """Return how many jobs would be taken before the new one, wait, and are running."""
        return self.ahead[priority], self.queued, self.running


@dataclass(frozen=True, slots=True)
class Forecast:
    """The fleet, its backlog and what was learned of finished jobs, at one moment."""

    fleet: FleetSnapshot = field(default_factory=FleetSnapshot)
    #: Average tokens of an answer by preset, "ask" without one.
    answers: Mapping[str, float] = field(default_factory=dict)
    #: Average steps that wrote one, likewise.
    steps: Mapping[str, float] = field(default_factory=dict)
    #: Actual over predicted seconds of the latest jobs of the model; of all until it has enough.
    ratios: tuple[float, ...] = ()

    def answer_tokens(self, kind: str, most: int) -> float:
        """Return the tokens that an answer is expected to have, at most `most`."""
        return min(float(most), self.answers.get(kind, _UNKNOWN_TOKENS))

    def answer_steps(self, kind: str, most: int) -> float:
        """Return the steps that an answer is expected to take, at most `most`."""
        return min(float(most), self.steps.get(kind, self.answer_tokens(kind, most)))

    @property
    def tail(self) -> float:
        """Return the factor of their prediction within which 95 of 100 jobs end."""
        if len(self.ratios) < _MIN_RATIOS:
            return _DEFAULT_TAIL
        return max(1.0, sorted(self.ratios)[int(0.95 * len(self.ratios))])


@dataclass(frozen=True, slots=True)
class PredictionAccuracy:
    """Predicted against actual times, since the store was new."""

    count: int
    predicted_s: float
    actual_s: float
    #: Jobs by actual over predicted seconds: RATIO_STEP to this power.
    steps: Mapping[int, int]

    @property
    def median_error(self) -> float | None:
        """Return the error that half of the predictions stay below, as a share of the actual."""
        errors = sorted((abs(1 - RATIO_STEP**-step), count) for step, count in self.steps.items())
        below = 0
        for error, count in errors:
            below += count
            if 2 * below >= self.count:
                return error
        return None


class Forecasts:
    """Reads forecasts; every method raises StoreUnavailable without Redis."""

    def __init__(self, client: Client, workers: WorkerRegistry) -> None:
        self._redis = client
        self._workers = workers
        self._standing = load_script(client, "admission/standing")
        self._held_jobs = load_script(client, "admission/held_jobs")
        self._held_tiles = load_script(client, "admission/held_tiles")

    def read(self, route: Route = _ALL) -> Forecast:
        """Return the forecast of this moment for jobs of this route."""
        here = (route.pool, route.filters_by)
        workers = [
            one for one in self._workers.fresh() if route.is_served_by(one.model, one.revision)
        ]
        names = {worker.model for worker in workers}
        own = names.pop() if len(names) == 1 else route.model
        with guard():
            pipe = self._redis.pipeline(transaction=False)
            pipe.zcard(keys.pooled(keys.QUEUED_SINCE, route.pool))
            pipe.hmget(keys.pooled(keys.BACKLOG, route.pool), "ms", "jobs")
            pipe.hgetall(keys.ANSWERS)
            pipe.hgetall(keys.ANSWER_STEPS)
            pipe.lrange(keys.PREDICTIONS_RECENT, 0, -1)
            pipe.lrange(keys.pooled(keys.PREDICTIONS_RECENT, own), 0, -1)
            queued, (busy_ms, counted), answers, steps, of_all, of_own = pipe.execute()
            jobs = self._held_jobs(keys=[], args=[_MAX_RUNNING, _MAX_WAITING, *here])
            held = self._held_tiles(keys=[], args=[_MAX_LONG_AHEAD, route.pool])[1]
        backlog = Backlog(
            queued=queued,
            running=int(jobs[2]),
            mean_s=int(busy_ms or 0) / 1000 / max(1, int(counted or 0)),
            observed=tuple(map(read_running, jobs[0])),
            ahead=tuple(map(read_waiting, jobs[1])),
            held=tuple(part for reply in held if (part := read_held(reply))),
        )
        return Forecast(
            FleetSnapshot(tuple(workers), backlog),
            _of_model({kind: float(tokens) for kind, tokens in answers.items()}, own),
            _of_model({kind: float(count) for kind, count in steps.items()}, own),
            tuple(map(float, of_own if len(of_own) >= _MIN_RATIOS else of_all)),
        )

    def predict_work_s(self, route: Route = _ALL) -> float | None:
        """Predict the seconds that one worker would need for all of a route that waits or runs.

        Tiles of long jobs count, whether they are queued or not yet. None without any experience.
        """
        fleet = self.read(route).fleet
        with guard():
            long, read = self._held_tiles(keys=[], args=[_MAX_LONG, route.pool])
        scale = long / len(read) if read else 0.0
        count, busy_ms = sum(job[0] for job in read), sum(job[1] for job in read)
        return predict_work_s(fleet, HeldTiles(round(count * scale), busy_ms / 1000 * scale))

    def queue_position(self, tenant: str, route: Route = _ALL) -> QueuePosition:
        """Return where a tenant's new job of a route would stand now."""
        args: list[str | float] = [tenant, route.pool, route.filters_by, *LAST_SCORES]
        with guard():
            return QueuePosition.parse(self._standing(keys=[], args=args))

    def read_accuracy(self) -> PredictionAccuracy:
        """Return how predictions compared with the actual times."""
        with guard():
            totals = {name: int(n) for name, n in self._redis.hgetall(keys.PREDICTIONS).items()}
        return PredictionAccuracy(
            count=totals.get("count", 0),
            predicted_s=totals.get("predicted_ms", 0) / 1000,
            actual_s=totals.get("actual_ms", 0) / 1000,
            steps={int(k[5:]): n for k, n in totals.items() if k.startswith("step:")},
        )

"""Whether a job is taken now: predicted seconds and the store's room, told before any work."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.admission.store_health import StoreHealth
from gateway.admission.work import work_of
from shared.errors import QueueFull
from shared.jobs import Priority
from shared.prediction.cost_model import Prediction, Work, estimate_prompt_tokens
from shared.settings import Settings
from shared.store.forecasts import Forecast, Forecasts, QueuePosition

#: Seconds that a look at workers and their jobs stays good; places are looked up more often.
_FRESH_S = 0.1


@dataclass(frozen=True, slots=True)
class JobProfile:
    """What a prediction needs to know of a job."""

    tenant: str
    priority: Priority
    deadline_s: float | None
    #: Preset, or "ask".
    kind: str
    prompt: str
    max_new_tokens: int
    #: Each tile of a long image is answered by itself.
    reads: bool = False
    #: Where it would stand, as it was seen when its request came.
    queue_position: QueuePosition | None = None


class Admission:
    """Predicts and refuses; one of it serves all requests of a process."""

    def __init__(self, forecasts: Forecasts, store_health: StoreHealth, settings: Settings) -> None:
        self._forecasts = forecasts
        self._store_health = store_health
        self._settings = settings
        self._lock = threading.Lock()
        self._seen: tuple[float, Forecast] | None = None

    def forecast(self) -> Forecast:
        """Return what is known of queue and workers, at most a tenth of a second old."""
        with self._lock:
            now = time.monotonic()
            if self._seen is None or now - self._seen[0] > _FRESH_S:
                self._seen = (now, self._forecasts.read())
            return self._seen[1]

    def check_open(self, tenant: str, queue_position: QueuePosition | None = None) -> None:
        """Refuse before the body is read what would be refused whatever it asks.

        Raises StoreUnavailable and QueueFull.
        """
        self._store_health.check()
        place = self._queue_position(tenant, queue_position).place(Priority.HIGH)
        self._check_wait(_predict(self.forecast(), Work(), *place))

    def predict(
        self, forecast: Forecast, asking: JobProfile, images: Sequence[Mapping[str, Any]]
    ) -> Prediction:
        """Return what is predicted of a job, whether it would be taken or not."""
        work = work_of(
            images,
            prompt_tokens=estimate_prompt_tokens(asking.prompt),
            answer_tokens=forecast.answer_tokens(asking.kind, asking.max_new_tokens),
            reads=asking.reads,
            workers=forecast.fleet.workers,
        )
        place = self._queue_position(asking.tenant, asking.queue_position).place(asking.priority)
        return _predict(forecast, work, *place)

    def check(self, asking: JobProfile, predicted: Prediction) -> None:
        """Raise what a job with this prediction is refused with.

        That is StoreUnavailable, or QueueFull for a wait beyond the limit or the job's deadline.
        """
        self._store_health.check(for_later=asking.priority is Priority.LOW)
        self._check_wait(predicted)
        if asking.deadline_s is None or predicted.total_s is None:
            return
        late_s = predicted.total_s - asking.deadline_s
        # a job that is taken at once gives what it can until its deadline
        if predicted.wait_s and late_s > 0:
            raise QueueFull(
                f"The answer is expected in {predicted.total_s:.1f} s; "
                f"the deadline is {asking.deadline_s:g} s from now.",
                pointer="/deadline_s",
                retry_after_s=min(late_s, predicted.wait_s),
            )

    def check_queue(self, asking: JobProfile) -> None:
        """Refuse before any image is looked at what would wait too long; raises as `check`."""
        forecast = self.forecast()
        self.check(asking, self.predict(forecast, asking, ()))

    def admit(self, asking: JobProfile, images: Sequence[Mapping[str, Any]]) -> Prediction:
        """Return what is predicted of a job that is taken; raises as `check`."""
        forecast = self.forecast()
        predicted = self.predict(forecast, asking, images)
        self.check(asking, predicted)
        return predicted

    def _queue_position(self, tenant: str, seen: QueuePosition | None) -> QueuePosition:
        return seen if seen and seen.fresh else self._forecasts.queue_position(tenant)

    def _check_wait(self, predicted: Prediction) -> None:
        most = self._settings.queue_max_jobs
        if predicted.queued >= most:
            raise QueueFull(
                f"{most} jobs wait already, which is the limit.", retry_after_s=predicted.wait_s
            )
        wait_s, limit_s = predicted.wait_s, self._settings.queue_max_wait_s
        if wait_s is not None and wait_s > limit_s:
            raise QueueFull(
                f"A new job would wait {wait_s:.0f} s; {limit_s:g} s is the limit.",
                retry_after_s=wait_s - limit_s,
            )


def _predict(
    forecast: Forecast, work: Work, position: int, queued: int, running: int
) -> Prediction:
    """Predict on the forecast's fleet, with the newer count of running jobs."""
    return forecast.fleet.with_running(running).predict(work, position, queued)

"""Decides whether a new job is accepted, by its predicted seconds and the store's free memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.admission.store_health import StoreHealth
from gateway.admission.work import estimate_work
from shared.errors import QueueFull
from shared.jobs import ImageInfo, Priority, Reader
from shared.jobs.parameters.route import Route
from shared.prediction.cost_model import Prediction, Work, estimate_prompt_tokens
from shared.settings import Settings
from shared.store.fleet.forecasts import Forecast, Forecasts, QueuePosition

#: Seconds for which a forecast is used again; queue positions are read more often.
_FORECAST_TTL_S = 0.1


#: Routes whose forecasts are kept.
_MOST_ROUTES = 64
#: Of jobs that wait for all workers alike.
_ALL = Route()


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
    #: Its images are pages of a document, each of which is looked at by itself.
    apart: bool = False
    #: Tokens of text beside the prompt.
    text_tokens: int = 0
    #: What reads its images.
    reader: Reader = "model"
    #: The second reader tells where its lines stand.
    boxes: bool = False
    #: The workers that it is for.
    route: Route = _ALL
    #: Its queue position as of when its request arrived, if that was read.
    position: QueuePosition | None = None


class Admission:
    """Predicts and refuses; one of it serves all requests of a process."""

    def __init__(self, forecasts: Forecasts, store_health: StoreHealth, settings: Settings) -> None:
        self._forecasts = forecasts
        self._store_health = store_health
        self._settings = settings
        self._lock = threading.Lock()
        self._cached: dict[Route, tuple[float, Forecast]] = {}

    def forecast(self, route: Route = _ALL) -> Forecast:
        """Return what is known of the workers of a route and what waits for them.

        It is at most a tenth of a second old.
        """
        with self._lock:
            now = time.monotonic()
            known = self._cached.get(route)
            if known is None or now - known[0] > _FORECAST_TTL_S:
                if len(self._cached) >= _MOST_ROUTES:
                    self._cached.clear()
                known = self._cached[route] = (now, self._forecasts.read(route))
            return known[1]

    def check_open(self, tenant: str, position: QueuePosition | None = None) -> None:
        """Refuse a request before its body is read, if no job at all is accepted now.

        Raises StoreUnavailable and QueueFull.
        """
        self._store_health.check()
        if len({worker.model for worker in self.forecast().fleet.workers}) > 1:
            # nobody knows yet which of them it is for
            return
        place, queued, _ = self._fresh_position(tenant, position).place(Priority.HIGH)
        self._check_wait(queued, self.forecast().fleet.predict_wait_s(place))

    def predict(
        self, forecast: Forecast, profile: JobProfile, images: Sequence[ImageInfo]
    ) -> Prediction:
        """Return the prediction of a job, whether it would be accepted or not."""
        work = _work_of(forecast, profile, images)
        place = self._position_of(profile).place(profile.priority)
        tokens = forecast.answer_tokens(profile.kind, profile.max_new_tokens)
        prediction = _predict(forecast, work, *place)
        return replace(prediction, answer_tokens=0.0 if work.parts else tokens)

    def predict_idle(
        self, forecast: Forecast, profile: JobProfile, images: Sequence[ImageInfo]
    ) -> Prediction:
        """Return the prediction of a job that has all workers for itself."""
        return forecast.fleet.predict_idle(_work_of(forecast, profile, images))

    def check(self, profile: JobProfile, prediction: Prediction) -> None:
        """Refuse a job with this prediction if it cannot be accepted.

        Raises StoreUnavailable, or QueueFull for a wait beyond the limit or the job's deadline.
        """
        self._store_health.check(for_later=profile.priority is Priority.LOW)
        self._check_wait(prediction.queued, prediction.wait_s)
        if profile.deadline_s is None or prediction.total_s is None:
            return
        late_s = prediction.total_s - profile.deadline_s
        # a job that starts at once returns what it has written by its deadline
        if prediction.wait_s and late_s > 0:
            raise QueueFull(
                f"The answer is expected in {prediction.total_s:.1f} s; "
                f"the deadline is {profile.deadline_s:g} s from now.",
                pointer="/deadline_s",
                retry_after_s=min(late_s, prediction.wait_s),
            )

    def check_queue(self, profile: JobProfile) -> None:
        """Refuse before any image is read a job that would wait too long; raises as `check`."""
        forecast = self.forecast(profile.route)
        self.check(profile, self.predict(forecast, profile, ()))

    def admit(self, profile: JobProfile, images: Sequence[ImageInfo]) -> Prediction:
        """Return the prediction of a job that is accepted; raises as `check`."""
        forecast = self.forecast(profile.route)
        prediction = self.predict(forecast, profile, images)
        self.check(profile, prediction)
        return prediction

    def _position_of(self, profile: JobProfile) -> QueuePosition:
        if profile.route.pool:
            # the one that was read with the request is not of this model
            return self._forecasts.queue_position(profile.tenant, profile.route)
        return self._fresh_position(profile.tenant, profile.position)

    def _fresh_position(self, tenant: str, position: QueuePosition | None) -> QueuePosition:
        return position if position and position.fresh else self._forecasts.queue_position(tenant)

    def _check_wait(self, queued: int, wait_s: float | None) -> None:
        most, limit_s = self._settings.queue_max_jobs, self._settings.queue_max_wait_s
        if queued >= most:
            raise QueueFull(
                f"{most} jobs are already waiting, which is the limit.", retry_after_s=wait_s
            )
        if wait_s is not None and wait_s > limit_s:
            raise QueueFull(
                f"A new job would wait {wait_s:.0f} s; the limit is {limit_s:g} s.",
                retry_after_s=wait_s - limit_s,
            )


def _work_of(forecast: Forecast, profile: JobProfile, images: Sequence[ImageInfo]) -> Work:
    return estimate_work(
        images,
        prompt_tokens=estimate_prompt_tokens(profile.prompt) + profile.text_tokens,
        answer_tokens=forecast.answer_steps(profile.kind, profile.max_new_tokens),
        reads=profile.reads,
        apart=profile.apart,
        reader="both" if profile.boxes and profile.reader == "model" else profile.reader,
    )


def _predict(
    forecast: Forecast, work: Work, position: int, queued: int, running: int
) -> Prediction:
    """Predict on the forecast's fleet, with the newer count of running jobs."""
    return forecast.fleet.with_running(running).predict(work, position, queued)

"""Tells Redis every second what this process does until its model is loaded, or why it gave up."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from shared.catalog.served_name import expect_name
from shared.errors import StoreUnavailable
from shared.long_steps import current_step
from shared.settings import Settings
from shared.store.connection import connect
from shared.store.fleet.starting_workers import StartingWorker, StartingWorkers
from worker.reasons import describe_error
from worker.weights.errors import WeightsError

_log = logging.getLogger(__name__)

_EVERY_S, _FRESH_S = 1.0, 6.0
#: How long it is remembered why a worker gave up.
_REMEMBERED_S = 600.0


class StartReport:
    """Reports while its block runs; Redis may be away."""

    def __init__(self, settings: Settings, name: str) -> None:
        """Report on the worker with Celery's node name `name`."""
        self._name, self._model = name, expect_name(settings)
        self._redis = connect(settings)
        self._workers = StartingWorkers(self._redis)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="start-report", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if isinstance(error, Exception):
            problem, reason = find_problem(error), describe_error(error)
            self._tell(self._state(problem=problem, reason=reason), _REMEMBERED_S)
        self._redis.close()

    def _repeat(self) -> None:
        while True:
            self._tell(self._state(), _FRESH_S)
            if self._ended.wait(_EVERY_S):
                return

    def _state(self, problem: str = "", reason: str = "") -> StartingWorker:
        step = None if problem else current_step()
        how_far = step.how_far() if step and step.how_far else None
        left_s = how_far.left_s if how_far else None
        return StartingWorker(
            name=self._name,
            model=self._model,
            step=step.what if step else "",
            kind=step.kind if step else "prepare",
            percent=how_far.percent if how_far else None,
            seconds_left=None if left_s is None else round(left_s, 1),
            problem=problem,
            reason=reason,
        )

    def _tell(self, state: StartingWorker, ttl_s: float) -> None:
        try:
            self._workers.tell(state, ttl_s)
        except StoreUnavailable as error:
            _log.debug("start.not_reported", extra={"cause": error.detail})


def find_problem(error: BaseException) -> str:
    """Return the kind of a reason for which no model is loaded."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, WeightsError):
        cause = cause.__cause__
    return cause.kind if isinstance(cause, WeightsError) else "not_loadable"

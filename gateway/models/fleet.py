"""Each model of the fleet with its workers, what waits for it, and how long that will take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.jobs.parameters.route import Route
from shared.prediction.heartbeat import Heartbeat
from shared.store.fleet.forecasts import Forecasts
from shared.store.fleet.model_loads import ModelLoad, ModelLoads


@dataclass(frozen=True, slots=True)
class FleetModel:
    """A model that is served, or for which jobs wait."""

    name: str
    workers: tuple[Heartbeat, ...]
    is_default: bool
    load: ModelLoad
    #: Predicted wait of a job behind all others of this model; None while unknown.
    wait_s: float | None
    #: Predicted seconds that one worker would need for all of its jobs; None while unknown.
    work_s: float | None

    @property
    def slots(self) -> int:
        """Return the jobs that its workers can run at once."""
        return sum(worker.slots for worker in self.workers if not worker.draining)


class Fleet:
    """Reads the models of the fleet; every method raises StoreUnavailable without Redis."""

    def __init__(self, loads: ModelLoads, forecasts: Forecasts, default: str) -> None:
        """`default` is the operator's default model; "" where the only one is."""
        self._loads = loads
        self._forecasts = forecasts
        self._default = default

    def read(self, workers: Sequence[Heartbeat]) -> Iterator[FleetModel]:
        """Yield the models that these workers serve and those that jobs wait for, by name."""
        loads = self._loads.read()
        served = {worker.model for worker in workers}
        names = sorted((served | loads.keys()) - {""})
        for name in names:
            load = loads.get(name, ModelLoad())
            route = Route(name, name, name) if len(names) > 1 else Route(name)
            own = tuple(worker for worker in workers if worker.model == name)
            wait_s = self._forecasts.read(route).fleet.predict_wait_s(load.queued)
            work_s = self._forecasts.predict_work_s(route)
            is_default = name == self._default if self._default else len(names) == 1
            yield FleetModel(name, own, is_default, load, wait_s if own else None, work_s)

"""The models of the fleet by the names that requests have for them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from shared.catalog.served_name import expect_name
from shared.errors import BadParameters, ModelNotFound, ModelRequired
from shared.excerpt import excerpt
from shared.jobs.parameters.route import REVISION_MARK, Route, join_name
from shared.prediction.heartbeat import Heartbeat
from shared.settings import Settings
from shared.store.fleet.starting_workers import StartingWorkers
from shared.store.fleet.worker_registry import WorkerRegistry

#: Stand for the default model.
DEFAULT_NAMES = frozenset(("", "sightline", "default"))
#: Hexadecimal digits of a revision that a request must name at least.
_MIN_REVISION_CHARS = 4
#: Seconds for which the models of a while ago are remembered without asking again.
_SEEN_TTL_S = 1.0


class NamesModel(Protocol):
    """A request that may name a model."""

    model: str | None
    wait_for_model: bool


class ModelDirectory:
    """Finds the workers that a request is for; one of it serves all requests of a process."""

    def __init__(
        self, workers: WorkerRegistry, starting: StartingWorkers, settings: Settings
    ) -> None:
        """Take the names of the operator from the settings, those of the workers from Redis."""
        self._workers = workers
        self._starting = starting
        #: What a worker that has the settings of this gateway would serve.
        self._own = expect_name(settings)
        self._aliases = settings.aliases
        self._default = settings.default_name
        self._seen: tuple[float, frozenset[str]] = (-_SEEN_TTL_S, frozenset())

    def route_of(self, asked: NamesModel) -> Route:
        """Return the route of a request; raises as `find_route`."""
        return self.find_route(asked.model, waits=asked.wait_for_model)

    def find_route(self, name: str | None, *, waits: bool = False) -> Route:
        """Return the route of jobs for the model of this name; None names none.

        With `waits` nobody need serve it now. Raises ModelNotFound, ModelRequired, BadParameters
        and StoreUnavailable.
        """
        fresh = self._workers.fresh()
        wanted = self._real_name(name)
        return self._named(wanted, fresh, waits=waits) if wanted else _whichever(fresh)

    def usual_route(self) -> Route:
        """Return the route of the default model; that of the whole fleet where there is none.

        Raises StoreUnavailable.
        """
        try:
            return self.find_route(None, waits=True)
        except ModelRequired:
            return Route()

    def route_again(self, stored: Route) -> Route:
        """Return the route of a job that asks once more what an earlier one asked."""
        if stored.asked:
            return self._named(stored.asked, self._workers.fresh(), waits=True)
        return self.find_route(None)

    def workers_for(self, name: str | None, *, waits: bool = False) -> list[Heartbeat]:
        """Return the workers that may answer for the model of this name.

        None where `find_route` refuses the name, as is done once it is known that the request is
        no repetition. Raises BadParameters and StoreUnavailable.
        """
        try:
            return self._workers_of(self.find_route(name, waits=waits))
        except (ModelNotFound, ModelRequired):
            return []

    def find_served(self, name: str) -> list[Heartbeat]:
        """Return the workers that serve the model of this name now; raises ModelNotFound."""
        workers = self._workers_of(self.find_route(name))
        if not workers:
            raise _not_found(name, ())
        return workers

    def _workers_of(self, route: Route) -> list[Heartbeat]:
        return [one for one in self._workers.fresh() if _serves(one, route)]

    def other_names(self, model: str) -> list[str]:
        """Return the operator's other names for a model, in alphabetical order."""
        return sorted(alias for alias, real in self._aliases.items() if real == model)

    def is_default(self, model: str) -> bool:
        """Tell whether requests that name no model mean this one."""
        return self._default == model

    def _real_name(self, name: str | None) -> str:
        """Return the name that workers have for it; "" for whichever is served."""
        given = (name or "").strip()
        if given in self._aliases:
            return self._aliases[given]
        return self._default if given in DEFAULT_NAMES else given

    def _named(self, name: str, fresh: Sequence[Heartbeat], *, waits: bool) -> Route:
        model, revision = _split_name(name, fresh)
        asked = join_name(model, revision) if revision else model
        route = Route(model, asked)
        if not any(_serves(worker, route) for worker in fresh):
            self._check_absent(route, fresh, waits=waits)
        return Route(model, asked, self._pool_of(route, fresh))

    def _check_absent(self, route: Route, fresh: Sequence[Heartbeat], *, waits: bool) -> None:
        """Raise ModelNotFound unless jobs may wait for workers of the route."""
        if waits:
            if not route.asked.isprintable():
                raise BadParameters("model: a name of printable characters.", pointer="/model")
            return
        if route.asked in self._models_seen() | self._configured or self._may_come(route, fresh):
            return
        raise _not_found(route.asked, fresh)

    def _may_come(self, route: Route, fresh: Sequence[Heartbeat]) -> bool:
        """Tell whether a worker of the route starts, or was of a fleet that is away as a whole."""
        if any(one.goes_on and route.asked == one.model for one in self._starting.list_all()):
            return True
        is_away = not fresh and not self._models_seen()
        return is_away and route.asked in self._workers.models_last_seen() | {self._own}

    def _pool_of(self, route: Route, fresh: Sequence[Heartbeat]) -> str:
        """Return where jobs of the route wait: with all others while there is nothing else.

        Older workers look nowhere else.
        """
        known = {worker.model for worker in fresh} | self._models_seen() | self._configured
        is_only_one = known <= {route.model} and all(_serves(worker, route) for worker in fresh)
        is_older = any(_serves(worker, route) and not worker.pools for worker in fresh)
        return "" if is_only_one or is_older else route.asked

    @property
    def _configured(self) -> frozenset[str]:
        """Return the models that the operator names: their workers may all be away for a while."""
        return frozenset((*self._aliases.values(), *([self._default] if self._default else ())))

    def _models_seen(self) -> frozenset[str]:
        now = time.monotonic()
        if now - self._seen[0] >= _SEEN_TTL_S:
            self._seen = (now, self._workers.models_seen())
        return self._seen[1]


def _serves(worker: Heartbeat, route: Route) -> bool:
    return route.is_served_by(worker.model, worker.revision)


def served_names(workers: Iterable[Heartbeat]) -> list[str]:
    """Return the names of the models that these workers serve, in alphabetical order."""
    return sorted({worker.model for worker in workers})


def _whichever(fresh: Sequence[Heartbeat]) -> Route:
    names = served_names(fresh)
    if len(names) > 1:
        raise ModelRequired(
            f"Several models are served; name one: {', '.join(names)}.", pointer="/model"
        )
    return Route(names[0] if names else "")


def _split_name(name: str, fresh: Sequence[Heartbeat]) -> tuple[str, str]:
    """Return a model and the revision of it that is asked for in full; "" for any."""
    model, mark, revision = name.rpartition(REVISION_MARK)
    if not mark or not model or any(worker.model == name for worker in fresh):
        return name, ""
    whole = {
        worker.revision
        for worker in fresh
        if worker.model == model and worker.revision.startswith(revision)
    }
    if len(whole) == 1 and len(revision) >= _MIN_REVISION_CHARS:
        return model, whole.pop()
    return model, revision


def _not_found(name: str, fresh: Sequence[Heartbeat]) -> ModelNotFound:
    model = name.rpartition(REVISION_MARK)[0]
    revisions = sorted({join_name(w.model, w.revision) for w in fresh if w.model == model})
    served = ", ".join(revisions or served_names(fresh)) or "none at the moment"
    return ModelNotFound(
        f"The model {excerpt(name)!r} is not served; served: {served}.", pointer="/model"
    )

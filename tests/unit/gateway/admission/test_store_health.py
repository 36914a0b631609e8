"""When Redis counts as silent: at once, but where this machine is short of time as well."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from gateway.admission import store_health
from gateway.admission.store_health import StoreHealth
from shared.settings import Settings
from shared.store.connection import Breaker


class Clock:
    """A time that passes only where something waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Watched:
    """A watchdog that asks a Redis of this test's making."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.breaker = Clock(), Breaker()
        self.health = StoreHealth(Settings(), self.breaker)
        self._answer: Callable[[], None] = self.time_out
        monkeypatch.setattr(store_health, "time", self.clock)
        monkeypatch.setattr(store_health, "probe_server", lambda _: self._answer())
        monkeypatch.setattr(self.health._stopped, "wait", self._wait)
        self._pauses: list[float] = []

    def time_out(self, late_s: float = 0.0) -> None:
        self.clock.now += store_health._TIMEOUT_S + late_s
        raise redis.TimeoutError("nothing came")

    def _wait(self, _: float) -> bool:
        if not self._pauses:
            return True
        self.clock.now += self._pauses.pop(0)
        return False

    def polls(self, *pauses: float, answer: Callable[[], None] | None = None) -> bool:
        """Poll after each of these pauses; return whether Redis counts as silent then."""
        self._answer = answer or self.time_out
        self._pauses = list(pauses)
        self.health.run()
        return self.breaker.is_open


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_a_redis_that_does_not_respond_is_silent_at_once(watched):
    assert watched.polls(0.05)


def test_a_poll_that_this_process_delayed_says_nothing(watched):
    assert not watched.polls(0.05, answer=lambda: watched.time_out(late_s=0.2))


def test_where_this_process_came_late_a_moment_ago_several_polls_must_fail(watched):
    assert not watched.polls(0.3, 0.05)
    assert watched.polls(0.05)


def test_a_refused_connection_is_no_matter_of_time(watched):
    def refuse() -> None:
        raise redis.ConnectionError("refused")

    assert watched.polls(0.3, answer=refuse)


def test_a_machine_that_has_time_again_is_trusted_again(watched):
    assert not watched.polls(0.3)
    watched.clock.now += store_health._STARVED_FOR_S
    assert watched.polls(0.05)

"""The breaker before hosts of image URLs, under a clock of the test's own."""

import pytest

from gateway.images.host_breaker import HostBreaker, HostHealth
from shared.errors import ImageHostUnavailable

HOST = ("t", "https://example.com:443")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> HostBreaker:
    return HostBreaker(3, 10.0, clock)


def fail(breaker: HostBreaker, times: int = 1, host: tuple[str, str] = HOST) -> None:
    for _ in range(times):
        breaker.enter(*host)
        breaker.leave(*host, HostHealth.BAD)


def test_a_host_that_fails_repeatedly_is_left_alone_and_then_probed_once(breaker, clock):
    fail(breaker, 3)
    with pytest.raises(ImageHostUnavailable) as refused:
        breaker.enter(*HOST)
    assert refused.value.retry_after_s == 10
    clock.now += 10
    breaker.enter(*HOST)
    with pytest.raises(ImageHostUnavailable):
        breaker.enter(*HOST)
    breaker.leave(*HOST, HostHealth.GOOD)
    fail(breaker, 2)
    breaker.enter(*HOST)


def test_each_failed_probe_doubles_the_pause_up_to_what_clients_bear(breaker, clock):
    fail(breaker, 3)
    pauses = []
    for _ in range(6):
        with pytest.raises(ImageHostUnavailable) as refused:
            breaker.enter(*HOST)
        pauses.append(refused.value.retry_after_s)
        clock.now += refused.value.retry_after_s
        fail(breaker)
    assert pauses == [10, 20, 40, 80, 120, 120]


def test_exchanges_that_began_before_the_pause_do_not_lengthen_it(breaker, clock):
    for _ in range(6):
        breaker.enter(*HOST)
    for _ in range(6):
        breaker.leave(*HOST, HostHealth.BAD)
    clock.now += 10
    breaker.enter(*HOST)


def test_a_probe_that_told_nothing_leaves_room_for_the_next(breaker, clock):
    fail(breaker, 3)
    clock.now += 10
    breaker.enter(*HOST)
    breaker.leave(*HOST, HostHealth.UNKNOWN)
    breaker.enter(*HOST)


def test_one_tenant_cannot_spoil_a_host_for_another(breaker):
    fail(breaker, 3)
    breaker.enter("u", HOST[1])


def test_only_so_many_hosts_are_remembered(breaker):
    for number in range(5000):
        fail(breaker, host=("t", f"https://{number}.example:443"))
    assert len(breaker) == 1024

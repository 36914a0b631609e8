"""Reads are counted where they can be, and never refused because Redis is full."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.store import keys
from shared.store.access.api_key_store import ApiKeyStore
from shared.store.access.api_key_types import Caller, Charged
from shared.store.access.rate_limits import RateLimits
from shared.store.connection import connect

LIMITS = RateLimits(requests=2, reads=3)


@pytest.fixture
def api_keys(settings) -> ApiKeyStore:
    return ApiKeyStore(connect(settings))


@pytest.fixture
def full_redis(redis_server) -> Iterator[None]:
    client = redis_server.client()
    client.config_set("maxmemory", 1)
    yield
    client.config_set("maxmemory", 0)


def admit(api_keys: ApiKeyStore, charged: Charged) -> Caller:
    return api_keys.admit("", "yes", charged, LIMITS)


def test_requests_and_reads_are_counted_apart(api_keys):
    assert [admit(api_keys, "reads").refused_s for _ in range(3)] == [None] * 3
    assert admit(api_keys, "reads").refused_s > 0
    assert [admit(api_keys, "requests").refused_s for _ in range(2)] == [None] * 2
    assert admit(api_keys, "requests").refused_s > 0
    free = admit(api_keys, "")
    assert (free.refused_s, free.used.reads, free.used.requests) == (None, 3, 2)


def test_a_full_redis_lets_callers_read(api_keys, full_redis):
    assert [admit(api_keys, "reads").refused_s for _ in range(9)] == [None] * 9
    assert not api_keys._redis.exists(keys.RATE + "reads:anonymous")

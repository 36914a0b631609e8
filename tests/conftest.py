"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.support.harness import QUICK, RedisServer, System, running_redis, running_system


def pytest_configure() -> None:
    """Let all that tests start listen to Ctrl-C, which a shell's background job ignores.

    And let it keep what it compiles: hundreds of processes start from the same files.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "MODEL", "PORT", "LOG_LEVEL", "LOG_FILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """A Redis that is empty at the start of the test."""
    shared_redis.client().flushall()
    return shared_redis


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may kill."""
    with running_redis(tmp_path) as server:
        yield server


@pytest.fixture
def settings(redis_server: RedisServer) -> Settings:
    return Settings(redis_url=redis_server.url)


@pytest.fixture
def system(redis_server: RedisServer, tmp_path: Path) -> Iterator[System]:
    """Workers with the simulated engine and quick leases, and gateways, on an empty Redis."""
    with running_system(redis_server.url, tmp_path, **QUICK) as running:
        yield running

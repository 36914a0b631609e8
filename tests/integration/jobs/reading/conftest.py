"""A service that reads, shared by all tests that neither kill it nor choose its settings."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.harness import QUICK, running_redis, running_system


@pytest.fixture(scope="package")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a gateway with one worker, which has the simulated model and the reader."""
    folder = tmp_path_factory.mktemp("reading")
    with running_redis(folder) as redis, running_system(redis.url, folder, **QUICK) as system:
        system.worker()
        yield system.gateway()[1]

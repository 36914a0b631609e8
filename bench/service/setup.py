"""The set-up of the service benches: a Redis and an empty system in a temporary folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.harness import RedisServer, System, running_redis, running_system


@contextmanager
def running_service(**environment: str) -> Iterator[tuple[System, RedisServer]]:
    """Start a Redis and yield it with a system on it; end everything afterwards.

    `environment` is that of every process of the system.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            running_redis(folder) as redis,
            running_system(redis.url, folder, **environment) as system,
        ):
            yield system, redis

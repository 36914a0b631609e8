"""How we connect to Redis, and how its failures become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.commands.core import Script
from redis.retry import Retry

from shared import keys
from shared.errors import StoreUnavailable
from shared.settings import Settings

#: A redis.Redis; its types leave open what decode_responses settles.
Client = Any

#: Seconds that a client refused for want of Redis should wait.
RETRY_AFTER_S = 5.0


#: Connections of a client that stay open while nobody needs them.
_KEPT_IDLE = 16


class TrimmedPool(redis.ConnectionPool):
    """A pool that closes again what only a peak of waiting readers has opened."""

    def release(self, connection: Any) -> None:
        """Take a connection back; the least used one beyond those kept is closed."""
        super().release(connection)
        idle = self._available_connections
        if len(idle) > _KEPT_IDLE:
            # the pool lends from the end, so this one was about to rest for long
            idle[-_KEPT_IDLE - 1].disconnect()


def connect(settings: Settings, *, url: str | None = None, text: bool = True) -> Client:
    """Return a client of the queue role (or of `url`); connects on first use."""
    pool = TrimmedPool.from_url(
        url or settings.redis_url,
        decode_responses=text,
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=min(2.0, settings.redis_timeout_s),
        socket_keepalive=True,
        health_check_interval=10,
        max_connections=settings.redis_max_connections,
        # a restarted Redis leaves dead sockets in the pool: one more try gets a fresh one.
        # Not after a timeout: the first try may still be done, and the caller waits for both
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 1, (redis.ConnectionError,)),
    )
    return redis.Redis(connection_pool=pool)


@contextmanager
def guard() -> Iterator[None]:
    """Turn Redis' failures into StoreUnavailable."""
    try:
        yield
    except redis.RedisError as error:
        raise StoreUnavailable(
            f"The job store does not answer ({type(error).__name__}).",
            retry_after_s=RETRY_AFTER_S,
        ) from error


def load_script(client: Client, name: str) -> Script:
    """Return the transition `lua/<name>.lua` with key names and shared steps before it."""
    folder = resources.files("shared") / "lua"
    parts = ("deliveries", "prelude", "limits", "tiles", "ending", name)
    text = "".join((folder / f"{part}.lua").read_text() for part in parts)
    script: Script = client.register_script(keys.lua_names() + text)
    return script


def pairs(flat: list[Any]) -> dict[str, Any]:
    """Return the hash that a script answered as a flat list."""
    return dict(zip(flat[::2], flat[1::2], strict=True))

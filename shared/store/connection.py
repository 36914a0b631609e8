"""How we connect to Redis, and how its failures become ours."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.commands.core import Script
from redis.retry import Retry

from shared.errors import StoreUnavailable
from shared.settings import Settings
from shared.store import keys

#: A redis.Redis; its types leave open what decode_responses settles.
Client = Any

#: Seconds that a client refused for want of Redis should wait.
RETRY_AFTER_S = 5.0

#: Connections of a client that stay open while nobody needs them.
_KEPT_IDLE = 16

#: Steps that scripts share, in lua/lib/; each may use those before it.
_LIBRARIES = ("prelude", "deliveries", "limits", "tiles", "ending")


class TrimmedPool(redis.ConnectionPool):
    """A pool that closes again what only a peak of waiting readers has opened."""

    breaker: Breaker | None = None

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Lend a connection; raises redis.ConnectionError while the breaker is open."""
        if self.breaker:
            self.breaker.check()
        return super().get_connection(*args, **options)

    def hang_up(self) -> None:
        """End the wait of every command that is under way, as if Redis had closed the line."""
        for connection in list(self._in_use_connections):
            # its reader finds an end of file; closing would pull the socket from under it
            with suppress(OSError, AttributeError):
                connection._sock.shutdown(socket.SHUT_RDWR)  # noqa: SLF001

    def release(self, connection: Any) -> None:
        """Take a connection back; the least used one beyond those kept is closed."""
        super().release(connection)
        idle = self._available_connections
        if len(idle) > _KEPT_IDLE:
            # the pool lends from the end, so this one was about to rest for long
            idle[-_KEPT_IDLE - 1].disconnect()


class Breaker:
    """While it is open, connections that it guards fail at once instead of waiting for Redis."""

    def __init__(self) -> None:
        self.is_open = False
        self._pools: list[TrimmedPool] = []

    def check(self) -> None:
        """Raise redis.ConnectionError while it is open."""
        if self.is_open:
            raise redis.ConnectionError("Redis was silent a moment ago")

    def greet(self, connection: Any) -> None:
        """Begin a new connection, which may be a second try of a command, unless it is open."""
        self.check()
        connection.on_connect()

    def guards(self, pool: TrimmedPool) -> None:
        """Take a pool under guard."""
        pool.breaker = self
        self._pools.append(pool)

    def open(self) -> None:
        """Refuse new commands, and end the wait of those that are under way."""
        self.is_open = True
        for pool in self._pools:
            pool.hang_up()

    def close(self) -> None:
        """Let commands through again."""
        self.is_open = False


def connect(
    settings: Settings,
    *,
    url: str | None = None,
    text: bool = True,
    timeout_s: float | None = None,
    breaker: Breaker | None = None,
) -> Client:
    """Return a client of the queue role (or of `url`); connects on first use.

    `timeout_s` bounds a command; by default it is the one of the settings.
    """
    patience_s = timeout_s or settings.redis_timeout_s
    pool = TrimmedPool.from_url(
        url or settings.redis_url,
        decode_responses=text,
        socket_timeout=patience_s,
        socket_connect_timeout=min(2.0, patience_s),
        socket_keepalive=True,
        health_check_interval=10,
        max_connections=settings.redis_max_connections,
        redis_connect_func=breaker.greet if breaker else None,
        # a restarted Redis leaves dead sockets in the pool: one more try gets a fresh one.
        # Not after a timeout: the first try may still be done, and the caller waits for both
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 1, (redis.ConnectionError,)),
    )
    if breaker:
        breaker.guards(pool)
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
    """Return the script `lua/<name>.lua`, such as `jobs/add`, after key names and shared steps."""
    folder = resources.files("shared.store") / "lua"
    parts = [*(f"lib/{library}" for library in _LIBRARIES), name]
    text = "".join((folder / f"{part}.lua").read_text() for part in parts)
    script: Script = client.register_script(keys.lua_names() + text)
    return script


def pairs(flat: list[Any]) -> dict[str, Any]:
    """Return the hash that a script answered as a flat list."""
    return dict(zip(flat[::2], flat[1::2], strict=True))

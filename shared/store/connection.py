"""Connections to Redis: clients, their circuit breaker, and loading of Lua scripts."""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import cache
from importlib import resources
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.commands.core import Script
from redis.retry import Retry

from shared.redis_url import Address, SentinelUrl
from shared.settings import Settings
from shared.store import keys
from shared.store.failover.followed_connection import FollowedConnection, FollowedTlsConnection
from shared.store.failover.master_watch import watch_master
from shared.store.failover.sure_writes import Replicas, SureRedis
from shared.store.failures import NotSent
from shared.store.patient_socket import PatientSocket

#: A redis.Redis; its types leave open what decode_responses settles.
Client = Any

#: Connections of a client that stay open while nobody needs them.
_KEPT_IDLE = 16

#: Steps that scripts share, in lua/lib/; each may use those before it.
_LIBRARIES = (
    "prelude",
    "lines",
    "indexes",
    "blobs",
    "images",
    "sessions",
    "deliveries",
    "limits",
    "tiles",
    "features",
    "groups",
    "usage",
    "ending",
)


class TrimmedPool(redis.ConnectionPool):
    """A pool that closes the connections that only a peak of waiting readers needed."""

    breaker: Breaker | None = None

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Lend a connection; raises NotSent without one, and while the breaker is open."""
        try:
            if self.breaker:
                self.breaker.check()
            return super().get_connection(*args, **options)
        except redis.RedisError as error:
            raise NotSent(str(error)) from error

    def make_connection(self) -> Any:
        """Make a connection that uses every reply which has come in time.

        It takes any answer to its health check for a sign of life.
        """
        connection: Any = super().make_connection()
        open_socket = connection._connect  # noqa: SLF001
        connection._connect = lambda: PatientSocket(open_socket())  # noqa: SLF001
        send_ping = connection._send_ping  # noqa: SLF001

        def send_any_ping() -> None:
            # a Redis that cannot write refuses PING as well, while it still answers reads
            with suppress(redis.ResponseError):
                send_ping()

        connection._send_ping = send_any_ping  # noqa: SLF001
        return connection

    def hang_up(self, *, unless_at: Address | None = None) -> None:
        """Fail every command that is under way, as if Redis had closed its connection.

        Those that are under way at the address `unless_at` go on.
        """
        for connection in list(self._in_use_connections):
            if (connection.host, connection.port) == unless_at:
                continue
            # its reader gets an end of file; a close would break its socket while it reads
            with suppress(OSError, AttributeError):
                connection._sock.shutdown(socket.SHUT_RDWR)  # noqa: SLF001

    def release(self, connection: Any) -> None:
        """Take a connection back, and close the least used one of too many that are idle."""
        super().release(connection)
        idle = self._available_connections
        if len(idle) > _KEPT_IDLE:
            # the pool lends from the end, so this one would stay idle longest
            idle[-_KEPT_IDLE - 1].disconnect()


class FollowingPool(TrimmedPool):
    """A pool of connections to the master of a service."""

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Lend a connection to the present master; raises NotSent without one."""
        watch = self.connection_kwargs["watch"]
        connection = super().get_connection(*args, **options)
        try:
            if (connection.host, connection.port) != watch.master():
                # it was idle while the master changed
                connection.disconnect()
                connection.connect()
        except BaseException as error:
            self.release(connection)
            if isinstance(error, redis.RedisError):
                raise NotSent(str(error)) from error
            raise
        return connection


class Breaker:
    """A circuit breaker: while it is open, its pools fail at once instead of waiting for Redis."""

    def __init__(self) -> None:
        self.is_open = False
        self._pools: list[TrimmedPool] = []

    def check(self) -> None:
        """Raise redis.ConnectionError while it is open."""
        if self.is_open:
            raise redis.ConnectionError("Redis did not respond a moment ago")

    def greet(self, connection: Any) -> None:
        """Set up a new connection, which may serve the second try of a command.

        Raises redis.ConnectionError while the breaker is open.
        """
        self.check()
        connection.on_connect()

    def guards(self, pool: TrimmedPool) -> None:
        """Guard a pool from now on."""
        pool.breaker = self
        self._pools.append(pool)

    def open(self) -> None:
        """Refuse new commands, and fail those that are under way."""
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
    timeout_s = timeout_s or settings.redis_timeout_s
    pool = make_pool(
        url or settings.redis_url,
        decode_responses=text,
        socket_timeout=timeout_s,
        socket_connect_timeout=min(2.0, timeout_s),
        socket_keepalive=True,
        health_check_interval=10,
        max_connections=settings.redis_max_connections,
        redis_connect_func=breaker.greet if breaker else None,
        # a restarted Redis leaves dead sockets in the pool: one more try gets a fresh one.
        # Not after a timeout: the first try may still succeed, and the caller waits for both
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 1, (redis.ConnectionError,)),
    )
    if breaker:
        breaker.guards(pool)
    if not settings.redis_wait:
        return redis.Redis(connection_pool=pool)
    # the reply must come before the socket's own timeout
    within_s = min(settings.redis_wait_s, 0.8 * timeout_s)
    replicas = Replicas(settings.redis_wait, int(1000 * within_s))
    return SureRedis(connection_pool=pool, replicas=replicas)


def make_pool(url: str, **options: Any) -> TrimmedPool:
    """Return a pool of connections to a server, or to whichever server is a service's master.

    `options` are those of redis-py's connections.
    """
    service = SentinelUrl.parse(url)
    if service is None:
        return TrimmedPool.from_url(url, **options)
    watch = watch_master(service)
    is_tls = service.server.startswith("rediss:")
    options.setdefault("connection_class", FollowedTlsConnection if is_tls else FollowedConnection)
    pool = FollowingPool.from_url(service.server, watch=watch, **options)
    watch.follow(pool)
    return pool


def load_script(client: Client, name: str) -> Script:
    """Return the script `lua/<name>.lua`, such as `jobs/add`, behind key names and libraries."""
    parts = [*(f"lib/{library}" for library in _LIBRARIES), name]
    script: Script = client.register_script("".join(map(_read_part, parts)))
    return script


@cache
def _read_part(name: str) -> str:
    # once for a process: each of its scripts has all libraries
    text = (resources.files("shared.store") / "lua" / f"{name}.lua").read_text()
    return keys.fill_in_names(text)


def pairs(flat: list[Any]) -> dict[str, Any]:
    """Return the hash that a script returned as a flat list of names and values."""
    return dict(zip(flat[::2], flat[1::2], strict=True))

"""The state of the Redis servers of both roles: memory, persistence, eviction."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from shared.errors import StoreUnavailable
from shared.settings import Settings
from shared.store import keys
from shared.store.connection import Client, connect
from shared.store.failures import explain_refusal, guard


@dataclass(frozen=True, slots=True)
class ServerProbe:
    """How a server is right now."""

    #: Share of its memory limit that is used; 0 without a limit.
    fullness: float
    #: Why it refuses writes; None while it takes them.
    refusal: StoreUnavailable | None


def probe_server(client: Client) -> ServerProbe:
    """Ask a server for its memory, and try a write that changes nothing, in one round trip.

    Raises redis.RedisError if it does not answer.
    """
    pipe = client.pipeline(transaction=False)
    pipe.info("memory")
    # not allowed without disk, memory, replicas or rights; without its list it writes nothing
    pipe.lpushx(keys.WRITE_PROBE, "")
    memory, written = pipe.execute(raise_on_error=False)
    if isinstance(memory, redis.RedisError):
        raise memory
    limit_bytes = memory["maxmemory"]
    return ServerProbe(
        memory["used_memory"] / limit_bytes if limit_bytes else 0.0,
        explain_refusal(written) if isinstance(written, redis.RedisError) else None,
    )


@dataclass(frozen=True, slots=True)
class RedisState:
    """The state of one server."""

    version: str
    used_bytes: int
    #: 0 without a limit.
    max_bytes: int
    policy: str
    evicted_keys: int
    aof: bool
    #: Why it refuses writes; None while it takes them.
    refusal: StoreUnavailable | None = None


def redis_state(client: Client) -> RedisState:
    """Read a server's state; raises StoreUnavailable."""
    with guard():
        info = client.info()
        refusal = probe_server(client).refusal
    return RedisState(
        version=str(info["redis_version"]),
        used_bytes=int(info["used_memory"]),
        max_bytes=int(info["maxmemory"]),
        policy=str(info["maxmemory_policy"]),
        evicted_keys=int(info["evicted_keys"]),
        aof=bool(info["aof_enabled"]),
        refusal=refusal,
    )


def roles(settings: Settings) -> dict[str, Client]:
    """Return a client of each role; one server in both roles is named once, as `queue`.

    Where several servers are the cache, the others are `cache-2`, `cache-3` and so on.
    """
    clients = {"queue": connect(settings)}
    caches = [url for url in settings.cache_urls if url != settings.redis_url]
    for number, url in enumerate(caches, start=1):
        clients["cache" if number == 1 else f"cache-{number}"] = connect(settings, url=url)
    return clients

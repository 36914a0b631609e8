"""The state of the Redis servers of both roles: memory, persistence, eviction."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings import Settings
from shared.store.connection import Client, connect, guard


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


def redis_state(client: Client) -> RedisState:
    """Read a server's state; raises StoreUnavailable."""
    with guard():
        info = client.info()
    return RedisState(
        version=str(info["redis_version"]),
        used_bytes=int(info["used_memory"]),
        max_bytes=int(info["maxmemory"]),
        policy=str(info["maxmemory_policy"]),
        evicted_keys=int(info["evicted_keys"]),
        aof=bool(info["aof_enabled"]),
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

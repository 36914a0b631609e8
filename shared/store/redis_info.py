"""The state of the Redis servers of both roles: memory, persistence, eviction, replicas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import NoPermissionError

from shared.errors import BadConfig, StoreUnavailable
from shared.settings import Settings
from shared.store import keys
from shared.store.connection import Client, connect
from shared.store.failures import explain_refusal, guard


@dataclass(frozen=True, slots=True)
class ServerProbe:
    """How a server is right now."""

    #: Share of its memory limit that is used; 0 without a limit, or where nobody may ask.
    fullness: float
    #: Why it refuses writes; None while it takes them.
    refusal: StoreUnavailable | None
    #: Replicas that are connected and up to date; None where nobody may ask.
    replicas: int | None = None


def probe_server(client: Client) -> ServerProbe:
    """Ask a server for its memory, and try a write that changes nothing, in one round trip.

    Raises redis.RedisError if it does not answer.
    """
    pipe = client.pipeline(transaction=False)
    pipe.info("memory")
    pipe.info("replication")
    # not allowed without disk, memory, replicas or rights; without its list it writes nothing
    pipe.lpushx(keys.WRITE_PROBE, "")
    memory, replication, written = pipe.execute(raise_on_error=False)
    if isinstance(memory, redis.RedisError) and not _may_not_ask(memory):
        raise memory
    return ServerProbe(
        _fullness(memory),
        explain_refusal(written) if isinstance(written, redis.RedisError) else None,
        _count_replicas(replication) if isinstance(replication, Mapping) else None,
    )


def _may_not_ask(error: redis.RedisError) -> bool:
    """Tell whether a command is kept from this user, or has another name on this server."""
    return isinstance(error, NoPermissionError) or "unknown command" in str(error)


def _fullness(memory: Any) -> float:
    limit_bytes = memory.get("maxmemory", 0) if isinstance(memory, Mapping) else 0
    return memory["used_memory"] / limit_bytes if limit_bytes else 0.0


def _count_replicas(replication: Mapping[str, Any]) -> int:
    lines = (value for name, value in replication.items() if name.startswith("slave"))
    return sum(isinstance(line, dict) and line.get("state") == "online" for line in lines)


@dataclass(frozen=True, slots=True)
class RedisState:
    """The state of one server; None is what it does not tell."""

    #: Its name and version.
    version: str | None = None
    used_bytes: int | None = None
    #: 0 without a limit.
    max_bytes: int | None = None
    policy: str | None = None
    evicted_keys: int | None = None
    aof: bool | None = None
    replicas: int | None = None
    #: It refuses writes without enough replicas.
    guards_replicas: bool | None = None
    #: Why it refuses writes; None while it takes them.
    refusal: StoreUnavailable | None = None


def redis_state(client: Client) -> RedisState:
    """Read a server's state; raises StoreUnavailable."""
    with guard():
        refusal = probe_server(client).refusal
        try:
            info = client.info()
        except redis.ResponseError as error:
            if not _may_not_ask(error):
                raise
            return RedisState(refusal=refusal)
    aof = info.get("aof_enabled")
    return RedisState(
        version=_name_version(info),
        used_bytes=info.get("used_memory"),
        max_bytes=info.get("maxmemory"),
        policy=info.get("maxmemory_policy"),
        evicted_keys=info.get("evicted_keys"),
        aof=None if aof is None else bool(aof),
        replicas=_count_replicas(info),
        guards_replicas="min_slaves_good_slaves" in info,
        refusal=refusal,
    )


def _name_version(info: Mapping[str, Any]) -> str:
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info.get('redis_version', '(version unknown)')}"


def refuse_cluster(settings: Settings) -> None:
    """Raise BadConfig if a server is part of a Redis Cluster; one that is silent passes."""
    for role, client in roles(settings).items():
        try:
            is_cluster = client.info("cluster").get("cluster_enabled")
        except redis.RedisError:
            # it does not respond yet, or its user may not ask: commands will show it
            is_cluster = False
        finally:
            client.close()
        if is_cluster:
            raise BadConfig(
                f"the {role} Redis is a Redis Cluster, which is not supported: "
                "use one server, or Sentinel"
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

"""The second level of the feature cache: Redis' cache role, shared by all workers."""

from __future__ import annotations

import hashlib

from shared import keys
from shared.connection import connect, guard, load_script
from shared.settings import Settings
from worker.engine.features import FeatureCache


class RedisFeatures:
    """A ByteStore in Redis; values fade after their last use and stay within a sum of bytes."""

    def __init__(self, settings: Settings) -> None:
        """Use the cache role's server, or the queue role's where there is only one."""
        client = connect(settings, url=settings.cache_url, text=False)
        self._get = load_script(client, "get_features")
        self._put = load_script(client, "put_features")
        self._ttl_ms = settings.features_ttl_s * 1000
        self._max_bytes = settings.features_redis_bytes

    def get(self, key: str) -> bytes | None:
        """Return what was put, or None; raises StoreUnavailable."""
        with guard():
            found: bytes | None = self._get(keys=[_name(key)], args=[self._ttl_ms])
        return found

    def put(self, key: str, value: bytes) -> None:
        """Keep a value if it fits at all; raises StoreUnavailable."""
        if len(value) <= self._max_bytes:
            with guard():
                self._put(keys=[_name(key)], args=[value, self._ttl_ms, self._max_bytes])


def feature_cache(settings: Settings) -> FeatureCache:
    """Return a worker's cache: its own memory, and Redis behind it unless that is turned off."""
    behind = RedisFeatures(settings) if settings.features_redis_bytes else None
    return FeatureCache(settings.features_ram_bytes, behind)


def _name(key: str) -> str:
    # the key tells tenant and image; a name of fixed length keeps it out of monitors
    return keys.FEATURES + hashlib.sha256(key.encode()).hexdigest()

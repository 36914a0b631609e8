"""The feature store: the second level of the feature cache, in Redis' cache role.

Several servers share the images by rendezvous hashing (Thaler and Ravishankar, 1998): all workers
pick the same server for a key, a server that is added or removed moves only its own share, and a
dead one costs misses for its share and nothing else.
"""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

from shared.settings import Settings
from shared.store import keys
from shared.store.connection import Client, connect, load_script
from shared.store.failures import guard


class RedisFeatures:
    """A ByteStore in Redis; values expire after their last use, and their sum is bounded."""

    def __init__(self, settings: Settings) -> None:
        """Use the servers of the cache role, or the queue role's where there are no others."""
        self._servers: dict[str, Client] = {
            url: connect(settings, url=url, text=False) for url in settings.cache_urls
        }
        first = next(iter(self._servers.values()))
        self._get = load_script(first, "images/get_features")
        self._put = load_script(first, "images/put_features")
        self._forget = load_script(first, "images/forget_features")
        self._ttl_ms = settings.features_ttl_s * 1000
        self._max_bytes = settings.features_redis_bytes

    def forget(self, mark: str) -> None:
        """Delete all features of the file with this mark; raises StoreUnavailable."""
        name = keys.FEATURES + mark
        with guard():
            self._forget(keys=[name], client=self._server(name))

    def get(self, key: str) -> bytes | None:
        """Return what was put, or None; raises StoreUnavailable."""
        name = _name(key)
        with guard():
            value: bytes | None = self._get(
                keys=[name], args=[self._ttl_ms], client=self._server(name)
            )
        return value

    def put(self, key: str, value: bytes) -> None:
        """Store a value if it fits at all; raises StoreUnavailable."""
        name = _name(key)
        if len(value) <= self._max_bytes:
            with guard():
                self._put(
                    keys=[name],
                    args=[value, self._ttl_ms, self._max_bytes],
                    client=self._server(name),
                )

    def _server(self, name: str) -> Client:
        """Return the server of a file's features, which are all on one."""
        of_file = ":".join(name.split(":")[:3])
        return self._servers[max(self._servers, key=lambda url: _weight(url, of_file))]


def _weight(url: str, name: str) -> bytes:
    # a server is its address: a new password moves nothing
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2] + parts.path
    return hashlib.sha256(f"{address} {name}".encode()).digest()


def _name(key: str) -> str:
    """Return the name of features whose key begins with the mark of their file and a colon."""
    mark = key.partition(":")[0]
    return f"{keys.FEATURES}{mark}:{hashlib.sha256(key.encode()).hexdigest()}"

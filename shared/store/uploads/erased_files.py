"""Images and documents that were erased, so that workers forget what they have computed of them."""

from __future__ import annotations

from shared.store import keys
from shared.store.connection import Client
from shared.store.failures import guard


class ErasedFiles:
    """Reads the marks of erased files; those that were stored again are no longer among them."""

    def __init__(self, client: Client) -> None:
        self._redis = client

    def read(self, within_s: float | None = None) -> frozenset[str]:
        """Return the marks of what was erased in the last `within_s` seconds, None for a day.

        Raises StoreUnavailable.
        """
        with guard():
            lowest: float | str = "-inf"
            if within_s is not None:
                seconds, micros = self._redis.time()
                lowest = 1000 * (seconds - within_s) + micros / 1000
            return frozenset(self._redis.zrangebyscore(keys.ERASED_FILES, lowest, "+inf"))

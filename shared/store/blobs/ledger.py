"""The list of all blobs in Redis: the row of each, and those that no row has."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from shared.store import keys
from shared.store.connection import Client, load_script
from shared.store.failures import confirm, guard

#: Seconds within which a blob that was announced must be named by its row.
GRACE_S = 3600
#: Names that are looked at by one call.
_MOST = 50
_MARKED = "marked "


class BlobLedger:
    """Notes blobs before they are written; every method raises StoreUnavailable without Redis."""

    def __init__(self, client: Client) -> None:
        """`client` must return bytes."""
        self._redis = client
        self._reserve = load_script(client, "blobs/reserve")
        self._take = load_script(client, "blobs/take")
        self._doom = load_script(client, "blobs/doom")

    def home(self, address: str) -> tuple[str, bool]:
        """Return the folder of this service in a blob store, and whether it has had its mark."""
        with guard():
            self._redis.hsetnx(keys.BLOB_HOMES, address, secrets.token_hex(8))
            home, marked = self._redis.hmget(keys.BLOB_HOMES, [address, _MARKED + address])
        return home.decode(), marked is not None

    def note_marked(self, address: str) -> None:
        """Note that a folder has its mark: from now on one without it is not ours."""
        with guard():
            self._redis.hset(keys.BLOB_HOMES, _MARKED + address, 1)

    def reserve(self, name: str, row: str) -> None:
        """Note a blob that is about to be written for a row; raises OutcomeUnknown."""
        confirm(lambda: self._reserve(keys=[], args=[name, row, GRACE_S * 1000]))

    def take(self, lease_s: float) -> list[str]:
        """Return blobs without a row, which nobody else gets for `lease_s` seconds."""
        with guard():
            names: list[bytes] = self._take(keys=[], args=[_MOST, int(lease_s * 1000)])
        return [name.decode() for name in names]

    def forget(self, names: Sequence[str]) -> None:
        """Forget blobs that are deleted."""
        with guard():
            pipe = self._redis.pipeline(transaction=True)
            pipe.zrem(keys.BLOBS_DOOMED, *names)
            pipe.hdel(keys.BLOB_ROWS, *names)
            pipe.execute()

    def doom(self, names: Sequence[str]) -> int:
        """Have those of some old blobs deleted that the list does not have; return their count."""
        if not names:
            return 0
        with guard():
            return int(self._doom(keys=[], args=list(names)))

    def may_list(self, every_s: int) -> bool:
        """Tell whether it is this process that lists the whole store, once in `every_s` seconds."""
        with guard():
            return bool(self._redis.set(keys.BLOBS_LIST_LOCK, 1, nx=True, ex=every_s))

    def add_figures(self, figures: Mapping[str, float]) -> None:
        """Add to the figures of the service."""
        with guard():
            pipe = self._redis.pipeline(transaction=True)
            for field, amount in figures.items():
                pipe.hincrbyfloat(keys.FIGURES, field, amount)
            pipe.execute()

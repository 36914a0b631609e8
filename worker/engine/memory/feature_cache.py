"""Caches image features: bounded in RAM, and optionally in a store that workers share."""

from __future__ import annotations

import logging
import queue
import threading
from collections import OrderedDict

import torch
from safetensors.torch import load, save

from worker.engine.api import ByteStore

_log = logging.getLogger(__name__)

#: Features that may wait to be written to the store; beyond it they stay in RAM only.
_PENDING_WRITES = 4


def file_mark(key: str) -> str:
    """Return the mark of the file that features with this key were computed from."""
    return key.partition(":")[0]


class FeatureCache:
    """Features by key, least recently used first out; thread-safe; any failure is a miss.

    Features of an image are (1 + maps, tokens, hidden). A key is the mark of the file that they are
    computed from, a colon, and whatever else they depend on.
    """

    def __init__(self, max_bytes: int, store: ByteStore | None = None) -> None:
        """Cache at most `max_bytes` in RAM; the store is read on a miss, written in background."""
        self._max_bytes = max_bytes
        self._store = store
        self._entries: OrderedDict[str, torch.Tensor] = OrderedDict()
        self._bytes = 0
        #: Marks of files of which nothing is kept; and those that the store has forgotten too.
        self._erased: frozenset[str] = frozenset()
        self._forgotten: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._writes: queue.Queue[tuple[str, torch.Tensor] | None] = queue.Queue(_PENDING_WRITES)
        self._writer: threading.Thread | None = None
        if store is not None:
            self._writer = threading.Thread(target=self._write_store, name="features", daemon=True)
            self._writer.start()

    @property
    def nbytes(self) -> int:
        """Bytes in RAM."""
        return self._bytes

    def get_local(self, key: str) -> torch.Tensor | None:
        """Return features from RAM only."""
        with self._lock:
            features = self._entries.get(key)
            if features is not None:
                self._entries.move_to_end(key)
            return features

    def get(self, key: str) -> torch.Tensor | None:
        """Return features from RAM or the store; may take the time of one network call."""
        features = self.get_local(key)
        if features is None and self._store is not None:
            features = self._read_store(self._store, key)
            if features is not None:
                self._insert(key, features)
        return features

    def put(self, key: str, features: torch.Tensor) -> None:
        """Cache features, and have them written to the store; returns at once."""
        self._insert(key, features)
        if self._writer is not None:
            try:
                self._writes.put_nowait((key, features))
            except queue.Full:
                _log.warning("features.not_written", extra={"reason": "too many pending writes"})

    def forget(self, marks: frozenset[str]) -> None:
        """Drop features of files with these marks, here and in the store, and keep none any more.

        The next call names other marks. Where the store fails, the next call with them tries again.
        """
        with self._lock:
            self._erased = marks
            for key in [key for key in self._entries if file_mark(key) in marks]:
                self._bytes -= self._entries.pop(key).nbytes
        self._forgotten &= marks
        for mark in sorted(marks - self._forgotten):
            if self._store is not None and not self._forget_stored(self._store, mark):
                return
            self._forgotten |= {mark}

    def close(self) -> None:
        """Write what is pending and stop."""
        if self._writer is not None and self._writer.is_alive():
            self._writes.put(None)
            self._writer.join()

    def _insert(self, key: str, features: torch.Tensor) -> None:
        with self._lock:
            if file_mark(key) in self._erased:
                return
            replaced = self._entries.pop(key, None)
            self._bytes += features.nbytes - (replaced.nbytes if replaced is not None else 0)
            self._entries[key] = features
            while self._bytes > self._max_bytes:
                self._bytes -= self._entries.popitem(last=False)[1].nbytes

    def _read_store(self, store: ByteStore, key: str) -> torch.Tensor | None:
        try:
            value = store.get(key)
            return None if value is None else load(value)["features"]
        except Exception as error:  # noqa: BLE001 - any failure of the store is a miss
            _log.warning("features.read_failed", extra={"reason": repr(error)})
            return None

    @staticmethod
    def _forget_stored(store: ByteStore, mark: str) -> bool:
        try:
            store.forget(mark)
        except Exception as error:  # noqa: BLE001 - it is tried again
            _log.warning("features.forget_failed", extra={"reason": repr(error)})
            return False
        return True

    def _write_store(self) -> None:
        while (item := self._writes.get()) is not None:
            key, features = item
            if file_mark(key) in self._erased:
                continue
            try:
                self._store.put(key, save({"features": features.contiguous()}))  # type: ignore[union-attr]
            except Exception as error:  # noqa: BLE001 - the features stay in RAM
                _log.warning("features.write_failed", extra={"reason": repr(error)})
            if file_mark(key) in self._erased:
                # erased while it was written: the next call of `forget` deletes it once more
                self._forgotten -= {file_mark(key)}

"""Image features that were computed before: bounded in RAM, and optionally in a store behind."""

from __future__ import annotations

import logging
import queue
import threading
from collections import OrderedDict
from typing import Protocol

import torch
from safetensors.torch import load, save

_log = logging.getLogger(__name__)

#: Features that may wait to be written behind; beyond it they stay in RAM only.
_PENDING_WRITES = 4


class ByteStore(Protocol):
    """A second level, shared by workers; it may lose anything at any time."""

    def get(self, key: str) -> bytes | None:
        """Return what was put, or None."""

    def put(self, key: str, value: bytes) -> None:
        """Keep the value if there is room for it."""


class FeatureCache:
    """Features by key, least recently used first out; thread-safe; any failure is a miss."""

    def __init__(self, max_bytes: int, behind: ByteStore | None = None) -> None:
        """Keep at most `max_bytes` in RAM; `behind` is read on a miss and written in time."""
        self._max_bytes = max_bytes
        self._behind = behind
        self._entries: OrderedDict[str, torch.Tensor] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._writes: queue.Queue[tuple[str, torch.Tensor] | None] = queue.Queue(_PENDING_WRITES)
        self._writer: threading.Thread | None = None
        if behind is not None:
            self._writer = threading.Thread(target=self._write_behind, name="features", daemon=True)
            self._writer.start()

    @property
    def nbytes(self) -> int:
        """Bytes held in RAM."""
        return self._bytes

    def near(self, key: str) -> torch.Tensor | None:
        """Return (1 + maps, tokens, hidden) features from RAM."""
        with self._lock:
            features = self._entries.get(key)
            if features is not None:
                self._entries.move_to_end(key)
            return features

    def get(self, key: str) -> torch.Tensor | None:
        """Return features from RAM or from behind; may take the time of one network call."""
        features = self.near(key)
        if features is None and self._behind is not None:
            features = self._read_behind(self._behind, key)
            if features is not None:
                self._keep(key, features)
        return features

    def put(self, key: str, features: torch.Tensor) -> None:
        """Keep features; returns at once."""
        self._keep(key, features)
        if self._writer is not None:
            try:
                self._writes.put_nowait((key, features))
            except queue.Full:
                _log.warning("features.not_written", extra={"reason": "too many pending writes"})

    def close(self) -> None:
        """Write what is pending and stop."""
        if self._writer is not None and self._writer.is_alive():
            self._writes.put(None)
            self._writer.join()

    def _keep(self, key: str, features: torch.Tensor) -> None:
        with self._lock:
            replaced = self._entries.pop(key, None)
            self._bytes += features.nbytes - (replaced.nbytes if replaced is not None else 0)
            self._entries[key] = features
            while self._bytes > self._max_bytes:
                self._bytes -= self._entries.popitem(last=False)[1].nbytes

    def _read_behind(self, behind: ByteStore, key: str) -> torch.Tensor | None:
        try:
            value = behind.get(key)
            return None if value is None else load(value)["features"]
        except Exception as error:  # noqa: BLE001 - whatever is wrong there, it is a miss
            _log.warning("features.read_failed", extra={"reason": repr(error)})
            return None

    def _write_behind(self) -> None:
        while (item := self._writes.get()) is not None:
            key, features = item
            try:
                self._behind.put(key, save({"features": features.contiguous()}))  # type: ignore[union-attr]
            except Exception as error:  # noqa: BLE001 - it stays in RAM
                _log.warning("features.write_failed", extra={"reason": repr(error)})

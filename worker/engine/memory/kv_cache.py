"""Keys and values: one preallocated buffer per sequence, and a bounded pool of idle ones."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from worker.engine.config import TextShape

Ints = npt.NDArray[np.int64]


class SequenceKV:
    """Keys and values of one sequence; the first `length` tokens are valid."""

    __slots__ = ("_touched", "capacity", "data", "length")

    def __init__(self, shape: TextShape, capacity: int, dtype: torch.dtype) -> None:
        """Reserve space for `capacity` tokens; memory is used as it is written."""
        #: (layers, 2, kv_heads, capacity, head_dim)
        self.data = torch.empty(
            shape.layers, 2, shape.kv_heads, capacity, shape.head_dim, dtype=dtype
        )
        self.capacity = capacity
        self.length = 0
        self._touched = 0

    @property
    def nbytes(self) -> int:
        """Bytes that were ever written; the rest of the buffer uses no memory."""
        self._touched = max(self._touched, self.length)
        return self.data.nbytes * self._touched // max(self.capacity, 1)

    def grow(self, shape: TextShape, capacity: int) -> SequenceKV:
        """Return this buffer if it has the capacity, else a larger one with the same contents."""
        if capacity <= self.capacity:
            return self
        larger = SequenceKV(shape, capacity, self.data.dtype)
        larger.data[:, :, :, : self.length] = self.data[:, :, :, : self.length]
        larger.length = self.length
        return larger


@dataclass(frozen=True, slots=True)
class KVEntry:
    """A finished sequence's keys and values, and the inputs that they were computed from."""

    kv: SequenceKV
    #: (length,) as in Prompt.identity.
    identity: Ints
    #: The marks of the files whose pictures are in it.
    file_marks: frozenset[str] = frozenset()


def common_prefix(left: Ints, right: Ints) -> int:
    """Return how many leading elements are equal."""
    n = min(len(left), len(right))
    different = np.flatnonzero(left[:n] != right[:n])
    return int(different[0]) if len(different) else n


@dataclass(slots=True)
class KVPool:
    """Idle buffers by scope, least recently used first out; all methods are thread-safe."""

    max_bytes: int
    _entries: OrderedDict[int, tuple[str, KVEntry]] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _serial: int = 0
    #: Marks of files of which nothing is kept.
    _erased: frozenset[str] = frozenset()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def nbytes(self) -> int:
        """Bytes in the pool."""
        return self._bytes

    def count_reusable(self, scope: str, identity: Ints) -> int:
        """Return how many leading tokens `take` would return now."""
        with self._lock:
            return self._best(scope, identity)[1]

    def take(self, scope: str, identity: Ints) -> SequenceKV | None:
        """Remove and return the buffer with the longest prefix in common, cut to that prefix.

        At least the last token is left to compute, because its logits are needed.
        """
        with self._lock:
            serial, length = self._best(scope, identity)
            if not length:
                return None
            kv = self._pop(serial).kv
            kv.length = length
            return kv

    def put(self, scope: str, entry: KVEntry) -> None:
        """Pool a buffer, and evict the least recently used ones beyond the bound.

        Requests without a scope share nothing, so their buffers are dropped.
        """
        if not scope:
            return
        with self._lock:
            if entry.file_marks & self._erased:
                return
            self._serial += 1
            self._entries[self._serial] = (scope, entry)
            self._bytes += entry.kv.nbytes
            self._shrink(self.max_bytes)

    def forget(self, marks: frozenset[str]) -> None:
        """Drop what has pictures of files with these marks, and keep nothing of them from now on.

        The next call names others.
        """
        with self._lock:
            self._erased = marks
            for serial, (_, entry) in list(self._entries.items()):
                if entry.file_marks & marks:
                    self._pop(serial)

    def shrink(self, max_bytes: int) -> None:
        """Evict until at most `max_bytes` are in the pool."""
        with self._lock:
            self._shrink(max_bytes)

    def _best(self, scope: str, identity: Ints) -> tuple[int, int]:
        """Return the serial and the length of the longest common prefix; length 0 for none."""
        return max(
            (
                (serial, min(common_prefix(entry.identity, identity), len(identity) - 1))
                for serial, (owner, entry) in self._entries.items()
                if owner == scope
            ),
            key=lambda match: match[1],
            default=(0, 0),
        )

    def _shrink(self, max_bytes: int) -> None:
        while self._entries and self._bytes > max_bytes:
            self._pop(next(iter(self._entries)))

    def _pop(self, serial: int) -> KVEntry:
        _, entry = self._entries.pop(serial)
        self._bytes -= entry.kv.nbytes
        return entry

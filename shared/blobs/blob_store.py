"""The blob store of a process: a place for blobs, whether it answers, and figures of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol, Self, TypeVar

from shared.blobs.address import BlobAddress
from shared.blobs.backend import BackendDown, BlobBackend, BlobWriter
from shared.blobs.folder import FolderBackend
from shared.errors import BadConfig, BlobsUnavailable
from shared.settings import Settings
from shared.store.jobs.job_metrics import JobMetrics

T = TypeVar("T")


class Run(Protocol):
    """Runs a call that blocks; raises BackendDown in place of waiting for too long."""

    def __call__(self, call: Callable[[], T], /) -> T:
        """Return or raise what the call does."""


#: Seconds that a caller should wait while the blob store is down.
RETRY_AFTER_S = 5.0


def run_here(call: Callable[[], T]) -> T:
    """Run a call in the caller's own thread."""
    return call()


def open_backend(settings: Settings) -> BlobBackend | None:
    """Return the place that SIGHTLINE_BLOBS names, None without one; raises BadConfig."""
    if not settings.blobs:
        return None
    address = BlobAddress.parse(settings.blobs)
    if address.kind == "file":
        return FolderBackend(address.path)
    try:
        from shared.blobs.bucket import BucketBackend
    except ImportError:
        raise BadConfig(
            "SIGHTLINE_BLOBS=s3://… needs the package obstore: pip install sightline-server[blobs]"
        ) from None
    return BucketBackend(address, settings)


class BlobStore:
    """Reads and writes blobs; every method raises BlobsUnavailable."""

    def __init__(self, backend: BlobBackend, run: Run | None = None) -> None:
        self._backend = backend
        self._run = run or run_here
        self._lock = threading.Lock()
        self._figures = JobMetrics()
        #: Why it is not asked at the moment; None while it is.
        self.refusal: str | None = None
        #: Is set when a call has failed, so that somebody looks whether all would.
        self.alarm = threading.Event()

    def put(self, name: str, data: bytes, *, probing: bool = False) -> None:
        """Store a blob as a whole or not at all; `probing` asks a store that is down as well."""
        self._call("put", lambda: self._backend.put(name, data), sent=len(data), probing=probing)

    def open_writer(self, name: str) -> MeasuredWriter:
        """Return a writer of a new blob, for a with statement."""
        return MeasuredWriter(self, self._call("open", lambda: self._backend.open_writer(name)))

    def get(self, name: str) -> bytes | None:
        """Return a blob; None if there is none."""
        return self._note_received(self._call("get", lambda: self._backend.get(name)))

    def get_range(self, name: str, first: int, end: int) -> bytes | None:
        """Return the bytes from `first` up to `end`; None if there is no such blob."""
        return self._note_received(
            self._call("get", lambda: self._backend.get_range(name, first, end))
        )

    def size(self, name: str, *, probing: bool = False) -> int | None:
        """Return the bytes of a blob, None if there is none; `probing` as for `put`."""
        return self._call("head", lambda: self._backend.size(name), probing=probing)

    def delete(self, names: Sequence[str]) -> None:
        """Delete blobs; those that are gone already count as deleted."""
        self._call("delete", lambda: self._backend.delete(names))

    def iter_older(self, folder: str, than_s: float) -> Iterator[list[str]]:
        """Yield names below a folder that were last changed more than `than_s` seconds ago."""
        names = self._backend.iter_older(folder, than_s)
        while (some := self._call("list", lambda: next(names, None))) is not None:
            yield some

    def sign(self, method: str, name: str, for_s: int) -> str | None:
        """Return a URL that lets its holder GET or PUT a blob; None for a folder."""
        return self._call("sign", lambda: self._backend.sign(method, name, for_s))

    def abandon(self, writer: BlobWriter) -> None:
        """Leave nothing of what a writer has written; raises nothing."""
        with suppress(BackendDown):
            self._run(writer.abandon)

    def take_figures(self) -> dict[str, float]:
        """Return what was counted since the last call."""
        with self._lock:
            counted, self._figures = self._figures, JobMetrics()
        return counted.increments

    def give_back(self, figures: dict[str, float]) -> None:
        """Count again what could not be written down."""
        with self._lock:
            for field, amount in figures.items():
                self._figures.increments[field] = self._figures.increments.get(field, 0) + amount

    def _call(self, kind: str, call: Callable[[], T], *, sent: int = 0, probing: bool = False) -> T:
        if self.refusal is not None and not probing:
            raise BlobsUnavailable(self.refusal, retry_after_s=RETRY_AFTER_S)
        began, outcome = time.monotonic(), "failed"
        try:
            result: T = self._run(call)
            outcome = "done"
        except BackendDown as error:
            self.alarm.set()
            raise BlobsUnavailable(str(error), retry_after_s=RETRY_AFTER_S) from error
        finally:
            self._count(kind, outcome, time.monotonic() - began)
        if sent:
            self._count_bytes("sent", sent)
        return result

    def _note_received(self, data: bytes | None) -> bytes | None:
        if data:
            self._count_bytes("received", len(data))
        return data

    def _count(self, kind: str, outcome: str, seconds: float) -> None:
        with self._lock:
            self._figures.add("blob_requests", kind=kind, outcome=outcome)
            self._figures.observe("blob_seconds", seconds, kind=kind)

    def _count_bytes(self, direction: str, amount: int) -> None:
        with self._lock:
            self._figures.add("blob_bytes", amount, direction=direction)


class MeasuredWriter:
    """A writer that is closed at the end of its with statement, or abandoned by an error."""

    def __init__(self, store: BlobStore, writer: BlobWriter) -> None:
        self._store, self._writer = store, writer

    def write(self, data: bytes) -> None:
        """Add to it; raises BlobsUnavailable."""
        self._store._call("write", lambda: self._writer.write(data), sent=len(data))  # noqa: SLF001

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Let it be there, or leave nothing of it; raises BlobsUnavailable."""
        try:
            if kind is None:
                self._store._call("put", self._writer.close)  # noqa: SLF001
        except BlobsUnavailable:
            self._store.abandon(self._writer)
            raise
        if kind is not None:
            self._store.abandon(self._writer)

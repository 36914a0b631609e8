"""Threads for calls of the blob store: the event loop goes on meanwhile, however slow it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from gevent import Timeout
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from shared.blobs.backend import BackendDown
from shared.settings import Settings

T = TypeVar("T")
#: Seconds after a request's own time limit at which its caller stops to wait for it.
_SLACK_S = 5.0


class BlobThreads:
    """Runs calls in a bounded number of threads; one of it serves all of a process."""

    def __init__(self, settings: Settings) -> None:
        self._threads = settings.blobs_concurrency
        self._wait_s = settings.blobs_timeout_s
        #: A folder's calls have no limit of their own, and stay in their thread when it is past.
        self._limit_s = settings.blobs_timeout_s + _SLACK_S

    @cached_property
    def _pool(self) -> ThreadPool:
        # made with the first call: a pool belongs to the event loop that it is made in
        return ThreadPool(self._threads)

    @cached_property
    def _free(self) -> BoundedSemaphore:
        return BoundedSemaphore(self._threads)

    def __call__(self, call: Callable[[], T], /) -> T:
        """Return or raise what the call does; raises BackendDown when it takes too long."""
        if not self._free.acquire(timeout=self._wait_s):
            raise BackendDown("The blob store is busy with other requests.")
        running = self._pool.spawn(_outcome_of, call)
        # the thread is free when the call is over, which may be after its caller has left
        running.rawlink(lambda _: self._free.release())
        try:
            value, error = running.get(timeout=self._limit_s)
        except Timeout:
            raise BackendDown("The blob store does not respond in time.") from None
        if error is not None:
            raise error
        result: T = value
        return result


def _outcome_of(call: Callable[[], Any]) -> tuple[Any, Exception | None]:
    # what is raised in the thread would be written to the log with its traceback
    try:
        return call(), None
    except Exception as error:  # noqa: BLE001
        return None, error

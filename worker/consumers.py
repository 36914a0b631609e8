"""Watches the queues that this worker reads: it reads lost ones again, and may leave them all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

_log = logging.getLogger(__name__)

#: Seconds for which a queue may be unread: a new connection reads them one after another.
_GRACE_S = 5.0


class QueueWatch:
    """The queues that Celery's consumer reads; by intention it leaves all of them or none."""

    def __init__(
        self, worker: Any, clock: Callable[[], float] = time.monotonic, grace_s: float = _GRACE_S
    ) -> None:
        """Watch the consumer of a Celery worker."""
        self._worker = worker
        self._clock = clock
        self._grace_s = grace_s
        self._known: set[str] = set()
        self._whole_at = clock()
        self._left = False

    def leave(self) -> None:
        """Read no queue from now on."""
        self._left = True

    def come_back(self) -> None:
        """Read all queues again that were left."""
        self._left = False
        consumer = getattr(self._worker, "consumer", None)
        if getattr(consumer, "task_consumer", None) is not None:
            self._ask(consumer, "add_task_queue", self._known)

    def read(self) -> frozenset[str] | None:
        """Return the queues that are read now; None before the consumer has connected.

        One that was read before and is not any more is asked for again after a while.
        """
        consumer = getattr(self._worker, "consumer", None)
        tasks = getattr(consumer, "task_consumer", None)
        if tasks is None:
            self._whole_at = self._clock()
            return None
        names = frozenset(queue.name for queue in list(tasks.queues))
        self._known |= names
        if self._left:
            self._whole_at = self._clock()
            self._ask(consumer, "cancel_task_queue", names)
        elif lost := self._known - names:
            self._recover(consumer, lost)
        else:
            self._whole_at = self._clock()
        return names

    def _recover(self, consumer: Any, lost: set[str]) -> None:
        if self._clock() - self._whole_at < self._grace_s:
            return
        self._whole_at = self._clock()
        for queue in sorted(lost):
            _log.error("consumer.lost", extra={"queue": queue})
        self._ask(consumer, "add_task_queue", lost)

    def _ask(self, consumer: Any, method: str, queues: Iterable[str]) -> None:
        for queue in sorted(queues):
            # in the consumer's own thread
            consumer.call_soon(getattr(consumer, method), queue)

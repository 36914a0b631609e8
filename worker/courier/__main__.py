"""The courier: a process that delivers webhooks by the schedule that Redis keeps.

It is a loop of its own and no Celery worker: the schedule, the leases and the fairness between
endpoints are in Redis already, and a message for each attempt would only be a second truth.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from shared import log
from shared.errors import StoreUnavailable
from shared.outbound.client import GuardedClient
from shared.settings import Settings
from shared.store import Store
from shared.store.delivery_store import DeliveryStore
from shared.store.delivery_types import Delivery, DeliveryBatch, Settlement
from worker.courier.delivery import DeliverySender

#: Without a bell, and while Redis is away, the courier looks this often.
_LOOK_S = 1.0

_log = logging.getLogger(__name__)


class Courier:
    """Takes what is due and delivers it in threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        store = Store(settings)
        self._deliveries = DeliveryStore(settings, store.redis)
        client = GuardedClient.build(settings)
        self._delivering = DeliverySender(store, self._deliveries, client, settings)
        self._free = settings.webhook_concurrency
        self._changed = threading.Condition()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Take nothing more; what is under way ends by its deadline or its lease."""
        self._stopped.set()

    def run(self) -> None:
        """Deliver until stopped."""
        _log.info("courier.ready")
        pool = ThreadPoolExecutor(self._settings.webhook_concurrency, "attempt")
        while not self._stopped.is_set():
            try:
                self._look(pool)
            except StoreUnavailable as error:
                _log.warning("courier.waiting", extra={"cause": error.detail})
                self._stopped.wait(_LOOK_S)
            except Exception:  # noqa: BLE001
                # one row that surprises must not end the deliveries of all others
                _log.exception("courier.failed")
                self._stopped.wait(_LOOK_S)
        pool.shutdown(wait=False, cancel_futures=True)
        self._drain()
        _log.info("courier.stopped")

    def _look(self, pool: ThreadPoolExecutor) -> None:
        free = self._wait_for_room()
        if not free:
            return
        batch = self._deliveries.take(free)
        for delivery in batch.deliveries:
            with self._changed:
                self._free -= 1
            pool.submit(self._deliver, delivery, batch.owner)
        if not batch.deliveries:
            self._rest(batch)

    def _rest(self, batch: DeliveryBatch) -> None:
        pause = _LOOK_S if batch.next_s is None else min(_LOOK_S, batch.next_s)
        if pause > 0:
            self._deliveries.wait(max(pause, 0.01))

    def _wait_for_room(self) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0, _LOOK_S)
            return self._free

    def _drain(self) -> None:
        """Give what is under way as long as a stopping process may take."""
        whole = self._settings.webhook_concurrency
        with self._changed:
            self._changed.wait_for(lambda: self._free == whole, self._settings.drain_s)

    def _deliver(self, delivery: Delivery, owner: str) -> None:
        with log.bound(delivery_id=delivery.id, job_id=delivery.job, endpoint=delivery.endpoint):
            try:
                done = self._delivering.attempt(delivery, owner)
                if done is not None:
                    self._settle(delivery, owner, done)
            except StoreUnavailable as error:
                # its lease brings it back
                _log.warning("delivery.waiting", extra={"cause": error.detail})
            except Exception:  # noqa: BLE001
                _log.exception("delivery.crashed")
                self._give_up(delivery, owner)
            finally:
                with self._changed:
                    self._free += 1
                    self._changed.notify_all()

    def _give_up(self, delivery: Delivery, owner: str) -> None:
        try:
            self._settle(delivery, owner, self._delivering.crashed(delivery))
        except Exception:  # noqa: BLE001
            # its lease brings it back
            _log.exception("delivery.unsettled")

    def _settle(self, delivery: Delivery, owner: str, done: Settlement) -> None:
        """Note the attempt, however long Redis is away: a lost note is a second message."""
        until = time.monotonic() + self._settings.webhook_timeout_s
        while True:
            try:
                kept = self._deliveries.settle(delivery, owner, done)
                break
            except StoreUnavailable:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.2)
        _log.info(
            "delivery.attempted",
            extra={
                "outcome": done.outcome if kept else "lost",
                "type": delivery.type,
                "http_status": done.attempt.status,
                "ms": done.attempt.ms,
                "attempt": delivery.tries + 1,
                "cause": done.attempt.error,
            },
        )


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings()
    log.configure(settings)
    courier = Courier(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: courier.stop())
    courier.run()
    logging.shutdown()
    # an attempt under way would hold the process for its 15 s; its lease brings it back
    os._exit(0)


if __name__ == "__main__":
    main()

"""The courier: a process that delivers webhooks by the schedule that Redis keeps.

It is a loop of its own and no Celery worker: the schedule, the leases and the fairness between
endpoints are in Redis already, and messages for the attempts could only contradict them.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from shared import log
from shared.errors import BadConfig, StoreUnavailable
from shared.outbound.client import GuardedClient
from shared.settings import Settings
from shared.store import Store
from shared.store.redis_info import refuse_cluster
from shared.store.webhooks.delivery_store import DeliveryStore
from shared.store.webhooks.delivery_types import Delivery, DeliveryBatch, Settlement
from worker.courier.delivery import DeliverySender
from worker.sign_of_life import touch_sign_of_life

#: Seconds between two polls for due deliveries without a wake-up, and while Redis is down.
_POLL_S = 1.0
#: Seconds between two tries to store a settlement while Redis is down.
_SETTLE_RETRY_S = 0.2

_log = logging.getLogger(__name__)


class Courier:
    """Takes due deliveries and delivers them in threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        store = Store(settings)
        self._deliveries = DeliveryStore(settings, store.redis)
        client = GuardedClient.build(settings)
        self._sender = DeliverySender(store, self._deliveries, client, settings)
        self._free = settings.webhook_concurrency
        #: Notified when `_free` grows.
        self._changed = threading.Condition()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Take no more deliveries; attempts under way end by their deadline or their lease."""
        self._stopped.set()

    def run(self) -> None:
        """Deliver until stopped."""
        _log.info("courier.ready")
        pool = ThreadPoolExecutor(self._settings.webhook_concurrency, "attempt")
        while not self._stopped.is_set():
            try:
                self._take_due(pool)
            except StoreUnavailable as error:
                _log.warning("courier.waiting", extra={"cause": error.detail})
                self._stopped.wait(_POLL_S)
            except Exception:  # noqa: BLE001
                # one bad row must not end the deliveries of all others
                _log.exception("courier.failed")
                self._stopped.wait(_POLL_S)
        pool.shutdown(wait=False, cancel_futures=True)
        self._drain()
        _log.info("courier.stopped")

    def _take_due(self, pool: ThreadPoolExecutor) -> None:
        free = self._wait_for_thread()
        if not free:
            return
        batch = self._deliveries.take(free)
        touch_sign_of_life(self._settings)
        for delivery in batch.deliveries:
            with self._changed:
                self._free -= 1
            pool.submit(self._deliver, delivery, batch.owner)
        if not batch.deliveries:
            self._wait_for_due(batch)

    def _wait_for_due(self, batch: DeliveryBatch) -> None:
        pause = _POLL_S if batch.next_s is None else min(_POLL_S, batch.next_s)
        if pause > 0:
            self._deliveries.wait(max(pause, 0.01))

    def _wait_for_thread(self) -> int:
        """Return the number of free threads, 0 if none came free in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0, _POLL_S)
            return self._free

    def _drain(self) -> None:
        """Wait for the attempts under way, for at most `drain_s`."""
        threads = self._settings.webhook_concurrency
        with self._changed:
            self._changed.wait_for(lambda: self._free == threads, self._settings.drain_s)

    def _deliver(self, delivery: Delivery, owner: str) -> None:
        with log.bound(delivery_id=delivery.id, job_id=delivery.job, endpoint=delivery.endpoint):
            try:
                settlement = self._sender.attempt(delivery, owner)
                if settlement is not None:
                    self._settle(delivery, owner, settlement)
            except StoreUnavailable as error:
                # its lease brings it back
                _log.warning("delivery.waiting", extra={"cause": error.detail})
            except Exception:  # noqa: BLE001
                _log.exception("delivery.crashed")
                self._settle_crash(delivery, owner)
            finally:
                with self._changed:
                    self._free += 1
                    self._changed.notify_all()

    def _settle_crash(self, delivery: Delivery, owner: str) -> None:
        try:
            self._settle(delivery, owner, self._sender.settle_crash(delivery))
        except Exception:  # noqa: BLE001
            # its lease brings it back
            _log.exception("delivery.unsettled")

    def _settle(self, delivery: Delivery, owner: str, settlement: Settlement) -> None:
        """Store the result of an attempt; without it the message would be sent again.

        Retries while Redis is down; raises StoreUnavailable after `webhook_timeout_s`.
        """
        until = time.monotonic() + self._settings.webhook_timeout_s
        while True:
            try:
                accepted = self._deliveries.settle(delivery, owner, settlement)
                break
            except StoreUnavailable:
                if time.monotonic() >= until:
                    raise
                time.sleep(_SETTLE_RETRY_S)
        _log.info(
            "delivery.attempted",
            extra={
                "outcome": settlement.outcome if accepted else "lost",
                "type": delivery.type,
                "http_status": settlement.attempt.status,
                "ms": settlement.attempt.ms,
                "attempt": delivery.tries + 1,
                "cause": settlement.attempt.error,
            },
        )


def main() -> None:
    """Run a courier until SIGTERM or SIGINT."""
    settings = Settings()
    log.configure(settings)
    try:
        refuse_cluster(settings)
    except BadConfig as error:
        sys.exit(f"sightline courier cannot start: {error}")
    courier = Courier(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: courier.stop())
    courier.run()
    logging.shutdown()
    # an attempt under way would hold the process for its 15 s; its lease brings it back
    os._exit(0)


if __name__ == "__main__":
    main()

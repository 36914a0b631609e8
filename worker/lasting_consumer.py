"""Celery's consumer, which no failing clean-up after a lost connection ends."""

from __future__ import annotations

import logging

from celery.worker.consumer import Consumer

_log = logging.getLogger(__name__)


class LastingConsumer(Consumer):
    """Connects again whatever goes wrong while it lets go of a broken connection.

    kombu puts a message that was received and not yet acknowledged back over a channel that it has
    taken apart, which ends in an AttributeError and would end the worker. The message is only a
    doorbell: the reconciler sends it again.
    """

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Let go of the connection that `exc` has broken."""
        try:
            super().on_connection_error_after_connected(exc)
        except Exception as error:  # noqa: BLE001
            _log.warning("consumer.not_cleaned", extra={"cause": repr(error)})

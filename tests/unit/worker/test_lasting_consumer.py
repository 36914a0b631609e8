"""A connection that cannot even be taken apart does not end the worker."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery.worker.consumer import Consumer

from shared.queue.app import app
from worker.lasting_consumer import LastingConsumer


class BrokenConnection:
    """As kombu's, when it restores a message over a channel that it has taken apart."""

    transport = SimpleNamespace()
    connection_errors = channel_errors = (OSError,)

    def collect(self, socket_timeout: float) -> None:
        raise OSError(socket_timeout)

    def close(self) -> None:
        conninfo = None
        conninfo.hostname  # noqa: B018


def let_go(kind: type[Consumer]) -> Consumer:
    consumer = kind.__new__(kind)
    consumer.app, consumer.connection = app, BrokenConnection()
    consumer.on_connection_error_after_connected(OSError("Redis is away"))
    return consumer


def test_it_lets_go_of_a_connection_whose_clean_up_fails():
    with pytest.raises(AttributeError):
        let_go(Consumer)
    assert let_go(LastingConsumer).connection is None


def test_workers_have_it():
    assert app.conf.worker_consumer == "worker.lasting_consumer:LastingConsumer"

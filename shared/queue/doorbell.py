"""Doorbells as the messages that Celery writes, made so cheaply that storing and ringing are one.

A message is filled in from one that Celery itself has written to a broker in memory, so that
whatever Celery puts into its messages is in ours.
"""

from __future__ import annotations

import functools
import json
import os
import threading
import time
import uuid
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

import kombu
from celery.events.event import get_exchange

from shared.queue.app import app, list_name, send
from shared.store import Doorbell, DoorbellMessage
from shared.store.connection import Client

#: As long as any job's id, and part of nothing else in a message.
_ID = "job_" + "~" * 36
_TAG = "~" * 8
_EVENTS = "sightline.events"
_memory = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Template:
    """A message for `_ID`, as JSON with `_TAG` in place of what makes each message unique."""

    text: str
    #: The message's body, still readable.
    body: str
    exchange: str
    routing_key: str
    priority: int

    @classmethod
    def of(cls, message: dict[str, Any]) -> _Template:
        properties = message["properties"]
        about = properties["delivery_info"]
        body = b64decode(message["body"]).decode()
        text = json.dumps(
            message | {"body": _TAG + "body", "properties": properties | {"delivery_tag": _TAG}}
        )
        return cls(text, body, about["exchange"], about["routing_key"], properties["priority"])

    def filled(self, job_id: str, body: str) -> str:
        """Return the message of a job."""
        packed = b64encode(body.encode()).decode("ascii")
        named = self.text.replace(_ID, job_id).replace(_TAG + "body", packed)
        return named.replace(_TAG, str(uuid.uuid4()))


class DoorbellMessages:
    """Makes what rings for a job."""

    def __init__(self, client: Client) -> None:
        """`client` is of the Redis that is also the broker."""
        self._events = f"/{client.connection_pool.connection_kwargs.get('db') or 0}."

    def ring(self, bell: Doorbell) -> DoorbellMessage:
        """Return what Redis is told to wake a worker, and to let Flower know."""
        message, event, expires_ms = _templates(bell.queue, os.getpid())
        told = json.loads(event.body.replace(_ID, bell.job_id))
        told |= {"timestamp": time.time(), "clock": app.clock.forward()}
        return DoorbellMessage(
            list_name(message.routing_key, message.priority),
            message.filled(bell.job_id, message.body.replace(_ID, bell.job_id)),
            f"{self._events}{event.exchange}/{event.routing_key}",
            event.filled(bell.job_id, json.dumps(told)),
            expires_ms,
        )


@functools.lru_cache(maxsize=64)
def _templates(queue: str, _pid: int) -> tuple[_Template, _Template, int | None]:
    """Return what Celery writes for a queue: the message, the event, and how long its list lives.

    Both tell the process that they come from.
    """
    with _memory, kombu.Connection("memory://") as connection:
        channel = connection.default_channel
        exchange = get_exchange(app.connection_for_write())
        kombu.Queue(_EVENTS, exchange)(channel).declare()
        declared = send(Doorbell(_ID, queue), connection=connection)
        message, event = (channel.queues[name].get_nowait() for name in (queue, _EVENTS))
    expires_ms = None if declared.expires is None else int(declared.expires * 1000)
    return _Template.of(message), _Template.of(event), expires_ms

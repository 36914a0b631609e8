"""The messages of doorbells, composed so that a job and its doorbell are stored in one step.

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
from dataclasses import dataclass, replace
from typing import Any

import kombu
from celery.events.event import get_exchange

from shared.queue.app import app, list_name, send_doorbell
from shared.store import Doorbell, DoorbellMessage
from shared.store.connection import Client

#: As long as any job's id, and part of nothing else in a message.
_ID = "job_" + "~" * 36
_TAG = "~" * 8
#: Stands for every job in a template.
_ANY = Doorbell(_ID, "", "~summary~")
_EVENTS = "sightline.events"
_memory = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Template:
    """A message for `_ID`, as JSON with `_TAG` in place of what makes each message unique."""

    text: str
    #: The message's body, decoded.
    body: str
    exchange: str
    routing_key: str
    priority: int

    @classmethod
    def of(cls, message: dict[str, Any]) -> _Template:
        properties = message["properties"]
        delivery = properties["delivery_info"]
        body = b64decode(message["body"]).decode()
        text = json.dumps(
            message | {"body": _TAG + "body", "properties": properties | {"delivery_tag": _TAG}}
        )
        return cls(
            text, body, delivery["exchange"], delivery["routing_key"], properties["priority"]
        )

    def fill(self, doorbell: Doorbell, body: str) -> str:
        """Return the message of a job."""
        encoded = b64encode(body.encode()).decode("ascii")
        text = _name_job(self.text, doorbell).replace(_TAG + "body", encoded)
        return text.replace(_TAG, str(uuid.uuid4()))


def _name_job(text: str, doorbell: Doorbell) -> str:
    """Return the JSON of a template with this doorbell's job and label."""
    label = json.dumps(doorbell.label)[1:-1]
    return text.replace(_ANY.label, label).replace(_ANY.job_id, doorbell.job_id)


class DoorbellMessages:
    """Composes the message of a doorbell without talking to the broker."""

    def __init__(self, client: Client) -> None:
        """`client` is of the Redis that is also the broker."""
        self._channel_prefix = f"/{client.connection_pool.connection_kwargs.get('db') or 0}."

    def compose(self, doorbell: Doorbell) -> DoorbellMessage:
        """Return the message that wakes a worker, and the event that Flower shows."""
        message, event, expires_ms = _load_templates(doorbell.queue, os.getpid())
        event_body = json.loads(_name_job(event.body, doorbell))
        event_body |= {"timestamp": time.time(), "clock": app.clock.forward()}
        return DoorbellMessage(
            list=list_name(message.routing_key, message.priority),
            message=message.fill(doorbell, _name_job(message.body, doorbell)),
            channel=f"{self._channel_prefix}{event.exchange}/{event.routing_key}",
            event=event.fill(doorbell, json.dumps(event_body)),
            expires_ms=expires_ms,
        )


@functools.lru_cache(maxsize=64)
def _load_templates(queue: str, _pid: int) -> tuple[_Template, _Template, int | None]:
    """Return what Celery writes for a queue: message, event, milliseconds that its list lives.

    Both name the process that they come from, so that each process makes its own.
    """
    with _memory, kombu.Connection("memory://") as connection:
        channel = connection.default_channel
        exchange = get_exchange(app.connection_for_write())
        kombu.Queue(_EVENTS, exchange)(channel).declare()
        sent_to = send_doorbell(replace(_ANY, queue=queue), connection=connection)
        message, event = (channel.queues[name].get_nowait() for name in (queue, _EVENTS))
    expires_ms = None if sent_to.expires is None else int(sent_to.expires * 1000)
    return _Template.of(message), _Template.of(event), expires_ms

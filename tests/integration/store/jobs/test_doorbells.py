"""Doorbells that are stored with their job, compared with those that Celery sends itself."""

from __future__ import annotations

import json
from base64 import b64decode

import kombu
import pytest
import redis

from shared.jobs import JobInput, new_job_id
from shared.queue import app, direct_queue, send_doorbell
from shared.queue.doorbell import DoorbellMessages
from shared.settings import Settings
from shared.store import Doorbell, NewJob, Store, StoredJob
from tests.support.harness import RedisServer

#: Fields that differ from message to message.
_UNIQUE = ("clock", "delivery_tag", "timestamp")


def _comparable(text: str) -> dict:
    message = json.loads(text)
    body = json.loads(b64decode(message["body"]))
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in _UNIQUE}
    properties = {k: v for k, v in message["properties"].items() if k not in _UNIQUE}
    return message | {"body": body, "properties": properties}


def _next_event(subscription: redis.client.PubSub) -> tuple[str, dict]:
    while (message := subscription.get_message(timeout=30)) is not None:
        if message["type"] == "pmessage":
            return message["channel"], _comparable(message["data"])
    raise AssertionError("no event was published")


@pytest.mark.parametrize("queue", ["default", "high", direct_queue("w1")])
def test_a_composed_doorbell_is_what_celery_would_send(redis_server: RedisServer, queue: str):
    client = redis_server.client()
    doorbell = Doorbell(new_job_id(), queue)
    options = app.conf.broker_transport_options
    with client.pubsub() as subscription:
        subscription.psubscribe("*")
        with kombu.Connection(redis_server.url, transport_options=options) as connection:
            send_doorbell(doorbell, connection)
        channel, event = _next_event(subscription)
    composed = DoorbellMessages(client).compose(doorbell)
    assert _comparable(composed.message) == _comparable(client.lindex(composed.list, 0))
    assert (composed.channel, _comparable(composed.event)) == (channel, event)
    ttl_ms = client.pttl(composed.list)
    assert (composed.expires_ms or -1) - 5000 <= ttl_ms <= (composed.expires_ms or -1)


def test_a_job_and_its_doorbell_are_stored_together_and_once(redis_server: RedisServer):
    client = redis_server.client()
    store = Store(Settings(redis_url=redis_server.url))
    bells = DoorbellMessages(client)

    def add() -> StoredJob:
        job = NewJob("t", JobInput(prompt="what?"), idempotency=("key", "body"))
        return store.add(job, bells.compose(Doorbell(job.id, "default")))

    added, again = add(), add()
    assert again.replayed
    assert again.row().id == added.row().id == added.doorbell.job_id
    (message,) = client.lrange("default", 0, -1)
    assert json.loads(message)["headers"]["id"] == added.doorbell.job_id


def test_two_messages_are_never_taken_for_one(redis_server: RedisServer):
    messages = DoorbellMessages(redis_server.client())
    tags = {
        json.loads(messages.compose(Doorbell(new_job_id(), "default")).message)["properties"][
            "delivery_tag"
        ]
        for _ in range(3)
    }
    assert len(tags) == 3

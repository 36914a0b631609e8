"""Doorbells that are stored with their job, beside those that Celery sends itself."""

from __future__ import annotations

import json
from base64 import b64decode

import kombu
import pytest
import redis

from shared.jobs import JobInput, new_job_id
from shared.queue import app, direct_queue, send
from shared.queue.doorbell import DoorbellMessages
from shared.settings import Settings
from shared.store import Doorbell, NewJob, Store, StoredJob
from tests.support.harness import RedisServer

#: What makes each message another one.
_OWN = ("clock", "delivery_tag", "timestamp")


def _known(text: str) -> dict:
    message = json.loads(text)
    body = json.loads(b64decode(message["body"]))
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in _OWN}
    properties = {k: v for k, v in message["properties"].items() if k not in _OWN}
    return message | {"body": body, "properties": properties}


def _heard(ear: redis.client.PubSub) -> tuple[str, dict]:
    while (told := ear.get_message(timeout=5)) is not None:
        if told["type"] == "pmessage":
            return told["channel"], _known(told["data"])
    raise AssertionError("nobody said anything")


@pytest.mark.parametrize("queue", ["default", "high", direct_queue("w1")])
def test_a_stored_bell_is_the_message_that_celery_would_send(redis_server: RedisServer, queue: str):
    client = redis_server.client()
    bell = Doorbell(new_job_id(), queue)
    options = app.conf.broker_transport_options
    with client.pubsub() as ear:
        ear.psubscribe("*")
        with kombu.Connection(redis_server.url, transport_options=options) as connection:
            send(bell, connection)
        channel, event = _heard(ear)
    ours = DoorbellMessages(client).ring(bell)
    assert _known(ours.message) == _known(client.lindex(ours.list, 0))
    assert (ours.channel, _known(ours.event)) == (channel, event)
    kept_ms = client.pttl(ours.list)
    assert (ours.expires_ms or -1) - 5000 <= kept_ms <= (ours.expires_ms or -1)


def test_a_job_and_its_bell_are_stored_together_and_once(redis_server: RedisServer):
    client = redis_server.client()
    store = Store(Settings(redis_url=redis_server.url))
    bells = DoorbellMessages(client)

    def add() -> StoredJob:
        job = NewJob("t", JobInput(prompt="what?"), idempotency=("key", "body"))
        return store.add(job, bells.ring(Doorbell(job.id, "default")))

    added, again = add(), add()
    assert again.replayed
    assert again.row().id == added.row().id == added.doorbell.job_id
    (message,) = client.lrange("default", 0, -1)
    assert json.loads(message)["headers"]["id"] == added.doorbell.job_id


def test_two_messages_are_never_taken_for_one(redis_server: RedisServer):
    bells = DoorbellMessages(redis_server.client())
    tags = {
        json.loads(bells.ring(Doorbell(new_job_id(), "default")).message)["properties"][
            "delivery_tag"
        ]
        for _ in range(3)
    }
    assert len(tags) == 3

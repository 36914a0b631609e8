"""A foreign id looks like an unknown one: the same response, the same Redis commands."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from shared.errors import NotFound
from shared.jobs import JobInput, new_job_id
from shared.queue.doorbell import DoorbellMessages
from shared.settings import Settings
from shared.store import Doorbell, NewJob, Store
from shared.store.webhooks.delivery_store import DeliveryStore
from shared.webhooks import Webhook
from tests.support.harness import RedisServer

_ID = re.compile(r"(job|dlv)_[0-9A-Z]{36,}")


@pytest.fixture
def settings(redis_server: RedisServer) -> Settings:
    return Settings(redis_url=redis_server.url)


def _work(redis_server: RedisServer, do: Callable[[], object]) -> list[str]:
    """Return the commands that Redis was given and its scripts gave, without ids."""
    client = redis_server.client()
    with client.monitor() as monitor:
        with pytest.raises(NotFound):
            do()
        client.echo("the end")
        commands = []
        for command in monitor.listen():
            if command["command"] == "ECHO the end":
                return commands
            commands.append(_ID.sub("ID", command["command"]))
    return commands


CALLS = {
    "read": lambda store, job: store.get(job, "me"),
    "cancel": lambda store, job: store.cancel(job, "me"),
    "erase": lambda store, job: store.erase(job, "me"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_foreign_job_gives_redis_the_work_of_an_unknown_one(redis_server, settings, call):
    store = Store(settings)
    job = NewJob("other", JobInput(prompt="x" * 5000), metadata={"much": "y" * 2000})
    message = DoorbellMessages(store.redis).compose(Doorbell(job.id, "default"))
    foreign = store.add(job, message).doorbell.job_id
    # the scripts are loaded by now, as they are in a running gateway
    with pytest.raises(NotFound):
        CALLS[call](store, new_job_id())
    known = _work(redis_server, lambda: CALLS[call](store, foreign))
    unknown = _work(redis_server, lambda: CALLS[call](store, new_job_id()))
    assert known == unknown
    assert known


def test_a_foreign_delivery_gives_redis_the_work_of_an_unknown_one(redis_server, settings):
    deliveries = DeliveryStore(settings, Store(settings).redis)
    webhook = Webhook("https://example.com/x", "https://example.com:443")
    foreign = deliveries.try_out(webhook, "other")
    known = _work(redis_server, lambda: deliveries.get(foreign, "me"))
    unknown = _work(redis_server, lambda: deliveries.get("dlv_" + "0" * 36, "me"))
    assert known == unknown
    assert known

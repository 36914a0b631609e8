"""URLs of Redis: what they say, what is refused, and what Celery is given of them."""

from __future__ import annotations

import pytest
from flower.utils.broker import Broker, RedisSentinel
from kombu import Connection
from pydantic import ValidationError

from shared.config_check import check_exposure, check_redis, check_replicas
from shared.queue.broker import MasterTransport, broker_address, broker_options
from shared.redis_url import SentinelUrl, mask_passwords
from shared.settings import Settings
from shared.store.redis_info import RedisState

FULL = (
    "rediss+sentinel://me:p%40ss@a:1,[::1]:2,c/jobs/3"
    "?sentinel_username=s&sentinel_password=other&sentinel_tls=no&ssl_ca_certs=/ca.pem"
)


def test_a_sentinel_url_names_sentinels_service_and_what_the_master_needs():
    url = SentinelUrl.parse(FULL)
    assert url.sentinels == (("a", 1), ("::1", 2), ("c", 26379))
    assert (url.service, url.username, url.password, url.tls) == ("jobs", "s", "other", False)
    assert url.server == "rediss://me:p%40ss@sentinel/3?ssl_ca_certs=%2Fca.pem"
    assert SentinelUrl.parse("rediss+sentinel://a/jobs").tls
    assert SentinelUrl.parse("redis://a:1/0") is None
    masked = mask_passwords(FULL)
    assert "p%40ss" not in masked
    assert "other" not in masked
    assert "me:***@a:1,[::1]:2,c/jobs/3" in masked


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("redis+sentinel://:secret@a:1", "names a service"),
        ("redis+sentinel://:secret@a:1/jobs/x", "names a service"),
        ("redis+sentinel://:secret@a:b/jobs", "is no sentinel"),
        ("redis+sentinel://:secret@/jobs", "lists host:port"),
        ("redis+sentinel://:secret@a/jobs?sentinel_tls=2", "yes or no"),
        ("redis://:secret@a:1,b:2/0", "redis+sentinel://"),
        ("redis+cluster://:secret@a:1", "Cluster is not supported"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_in_one_line_without_its_password(url, word):
    with pytest.raises(ValidationError) as refused:
        Settings(redis_url=url)
    (fault,) = refused.value.errors()
    assert word in fault["msg"]
    assert "secret" not in fault["msg"]
    assert "\n" not in fault["msg"]


def test_celery_gets_the_master_of_the_service_and_checks_certificates():
    address, options = broker_address(FULL), broker_options(FULL)
    assert address["broker_url"] == "sentinel://me:p%40ss@a:1/3"
    assert options == {
        "master_name": "jobs",
        "sentinel_kwargs": {"username": "s", "password": "other"},
    }
    with Connection(address["broker_url"], ssl=address["broker_use_ssl"]) as doorbells:
        assert doorbells.transport_cls == "sentinel"
        assert isinstance(doorbells.transport, MasterTransport)
        # what Flower's page of queues opens
        seen = doorbells.as_uri(include_password=True)
        assert isinstance(Broker(seen, broker_options=options), RedisSentinel)
    secured = broker_address("rediss://:word@a:6380/0")
    assert secured["broker_url"] == "rediss://:word@a:6380/0"
    assert secured["broker_use_ssl"]["ssl_cert_reqs"] == "required"
    chosen = broker_address("rediss://a/0?ssl_cert_reqs=none&ssl_ca_certs=/ca.pem")
    assert chosen["broker_use_ssl"]["ssl_cert_reqs"] == "none"
    assert chosen["broker_use_ssl"]["ssl_ca_certs"] == "/ca.pem"
    assert broker_address("redis://a/0") == {"broker_url": "redis://a/0"}


def test_risks_of_a_failover_and_what_cannot_be_asked_are_named():
    sentinel = {"redis_url": "redis+sentinel://db:1/jobs"}
    exposed = " ".join(check_exposure(Settings(**sentinel)))
    assert "redis_url points to db without a password" in exposed
    state = RedisState(
        "Redis 8", 1, 9, "noeviction", 0, aof=True, replicas=1, guards_replicas=False
    )
    risks = " ".join(check_replicas(Settings(**sentinel), state))
    assert "lists one sentinel" in risks
    assert "SIGHTLINE_REDIS_WAIT is 0" in risks
    assert "min-replicas-to-write" in risks
    few = " ".join(check_replicas(Settings(redis_wait=2), state))
    assert "has 1 replicas: no job is accepted" in few
    silent = " ".join(check_redis("queue", RedisState()))
    assert "persistence, eviction policy, memory limit" in silent

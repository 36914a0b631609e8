"""The private Redis of `make up`: settings, data and end."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from scripts.redis_server import PrivateRedis, check_redis, find_program
from scripts.service.instance import Instance, InstanceError, wait_until


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    instance = Instance(7998, tmp_path)
    with instance.claim():
        yield instance


@pytest.fixture
def server(instance: Instance) -> Iterator[PrivateRedis]:
    with PrivateRedis(instance, find_program()) as server:
        yield server


def test_it_keeps_jobs_on_disk_and_never_throws_them_out(server):
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        config = client.config_get("append*", "maxmemory-policy", "bind")
    assert config["appendonly"] == "yes"
    assert config["appendfsync"] == "everysec"
    assert config["maxmemory-policy"] == "noeviction"
    assert config["bind"] == "127.0.0.1"


def test_it_asks_for_a_password(server):
    with (
        redis.Redis(port=server.port) as anonymous,
        pytest.raises(redis.AuthenticationError),
    ):
        anonymous.get("anything")


def test_its_configuration_is_for_the_owner_only(server, instance):
    configuration = instance.directory / "redis" / "redis.conf"
    assert stat.S_IMODE(configuration.stat().st_mode) == 0o600


def test_a_second_start_finds_the_data_of_the_first(instance, server):
    with redis.Redis.from_url(server.url) as client:
        client.set("job", "accepted")
    server.stop()
    with (
        PrivateRedis(instance, find_program()) as again,
        redis.Redis.from_url(again.url, decode_responses=True) as client,
    ):
        assert client.get("job") == "accepted"


def test_after_a_kill_it_starts_again_under_the_same_url(instance, server):
    with redis.Redis.from_url(server.url) as client:
        client.config_set("appendfsync", "always")
        client.set("job", "accepted")
    (process,) = [one for one in instance.processes() if one.name == "redis"]
    process.signal(9)
    assert wait_until(server.died, 60)
    server.restart()
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        assert client.get("job") == "accepted"


def test_damaged_data_is_one_line_that_names_the_log(instance):
    folder = instance.directory / "redis"
    folder.mkdir()
    (folder / "appendonlydir").write_text("this should be a folder")
    with pytest.raises(InstanceError, match=r"Redis cannot start: .+redis\.log") as trouble:
        PrivateRedis(instance, find_program()).start()
    assert "\n" not in str(trouble.value)


def test_a_redis_elsewhere_that_does_not_answer_is_named_without_its_password():
    with pytest.raises(InstanceError, match=r"127\.0\.0\.1:1/0 does not respond") as trouble:
        check_redis("redis://:secret@127.0.0.1:1/0")
    assert "secret" not in str(trouble.value)


def test_a_url_that_is_none_is_named():
    with pytest.raises(InstanceError, match="nonsense"):
        check_redis("nonsense")


def test_a_redis_elsewhere_that_answers_is_taken(server):
    check_redis(server.url)

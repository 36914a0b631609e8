"""Which running instance a command means when no port is named, and how the client finds it."""

from __future__ import annotations

import os

import pytest

from scripts.config_check import given_by_launcher
from scripts.service.instance import LAUNCHER, Instance, InstanceError
from scripts.service.running import choose_instance, read_redis_url
from shared.settings import Settings
from sightline import Client
from sightline._transport.running import find_running_url


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith(("SIGHTLINE_", "PORT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SIGHTLINE_RUN_DIR", str(tmp_path))
    return tmp_path


def running(port: int) -> Instance:
    """An instance whose launcher is this process."""
    instance = Instance(port)
    (instance.directory / "redis").mkdir(parents=True)
    instance.record(LAUNCHER, os.getpid())
    instance.publish(f"http://127.0.0.1:{port}")
    conf = instance.directory / "redis" / "redis.conf"
    conf.write_text("bind 127.0.0.1\nport 7001\nrequirepass abc\n")
    return instance


def stopped(port: int) -> Instance:
    instance = running(port)
    instance.record(LAUNCHER, 2**22 + 1)
    return instance


def test_the_only_one_that_runs_is_meant():
    stopped(7861)
    running(8123)
    assert choose_instance(Settings()).port == 8123
    assert find_running_url() == "http://127.0.0.1:8123"
    with Client() as client:
        assert str(client._runner._http.base_url) == "http://127.0.0.1:8123"


def test_a_named_port_and_a_named_address_win(monkeypatch):
    running(8123)
    assert choose_instance(Settings(port=9000)).port == 9000
    monkeypatch.setenv("SIGHTLINE_URL", "http://127.0.0.1:9000")
    with Client() as client:
        assert str(client._runner._http.base_url) == "http://127.0.0.1:9000"


def test_the_default_port_is_meant_where_nothing_runs():
    stopped(8123)
    assert choose_instance(Settings()).port == Settings.model_fields["port"].default
    assert find_running_url() is None


def test_of_several_one_has_to_be_named():
    running(8123)
    running(8124)
    with pytest.raises(InstanceError, match="8123, 8124"):
        choose_instance(Settings())
    assert find_running_url() is None
    running(Settings.model_fields["port"].default)
    assert choose_instance(Settings()).port == Settings.model_fields["port"].default


def test_the_check_of_settings_looks_at_the_redis_that_runs():
    url = "redis://:abc@127.0.0.1:7001/0"
    assert read_redis_url(running(8123)) == url
    assert given_by_launcher(Settings()) == {"SIGHTLINE_PORT": "8123", "SIGHTLINE_REDIS_URL": url}


def test_a_redis_of_ones_own_stays(monkeypatch):
    running(8123)
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere:6379/0")
    assert given_by_launcher(Settings()) == {}

"""The files of an instance, and that no process outlives it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.service.instance import (
    Instance,
    InstanceError,
    RecordedProcess,
    birth,
    end_process,
    wait_until,
)

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', flush=True); time.sleep(60)"
)


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(7999, tmp_path)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_recorded_process_is_alive_until_it_ends(instance, sleeper):
    with instance.claim():
        instance.record("gateway", sleeper.pid)
        assert {one.name for one in instance.processes()} == {"up", "gateway"}
        sleeper.kill()
        sleeper.wait()
        assert {one.name for one in instance.processes()} == {"up"}


def test_a_zombie_counts_as_dead(sleeper):
    sleeper.kill()
    assert wait_until(lambda: birth(sleeper.pid) is None, 60)


def test_another_process_under_a_reused_id_is_left_alone(instance, sleeper):
    instance.directory.mkdir(parents=True)
    stale = {"name": "worker", "pid": sleeper.pid, "born": "long ago"}
    (instance.directory / "worker.pid").write_text(json.dumps(stale))
    instance.sweep()
    assert sleeper.poll() is None
    assert not list(instance.directory.glob("*.pid"))


def test_a_claim_ends_what_a_killed_launcher_left(instance, sleeper):
    instance.directory.mkdir(parents=True)
    instance.record("worker", sleeper.pid)
    with instance.claim():
        assert sleeper.wait(60) == -signal.SIGTERM


def test_leaving_a_claim_ends_every_process(instance, sleeper):
    def fail() -> None:
        with instance.claim():
            instance.record("worker", sleeper.pid)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert sleeper.wait(60) == -signal.SIGTERM
    assert not list(instance.directory.glob("*.pid"))


def test_a_second_launcher_on_the_same_port_is_told_how_to_stop_the_first(instance):
    def claim_again() -> None:
        with Instance(7999, instance.directory.parent).claim():
            pytest.fail("claimed twice")

    with instance.claim(), pytest.raises(InstanceError, match="make down PORT=7999"):
        claim_again()


def test_two_ports_do_not_hinder_each_other(instance, tmp_path):
    with instance.claim(), Instance(8000, tmp_path).claim():
        assert instance.launcher() is not None


def test_redis_is_ended_last_for_the_others_need_it(instance, sleeper):
    instance.directory.mkdir(parents=True)
    for name in ("worker", "redis", "flower"):
        instance.record(name, sleeper.pid)
    assert [one.name for one in instance.processes()][-1] == "redis"


def test_a_process_that_ignores_sigterm_is_killed_with_its_group():
    command = [sys.executable, "-c", STUBBORN]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    end_process(RecordedProcess("worker", process.pid, birth(process.pid) or ""), grace_s=0.3)
    assert process.wait(60) == -signal.SIGKILL
    process.stdout.close()


def test_a_secret_stays_the_same_and_is_for_the_owner_only(instance):
    with instance.claim():
        first = instance.secret("flower-password")
        assert instance.secret("flower-password") == first
        mode = (instance.directory / "flower-password").stat().st_mode
    assert len(first) >= 24
    assert stat.S_IMODE(mode) == 0o600


def test_waiting_gives_up_after_its_time():
    started = time.monotonic()
    assert not wait_until(lambda: False, 0.1)
    assert time.monotonic() - started < 5


def test_the_launchers_own_record_is_its_own_process(instance):
    with instance.claim():
        launcher = instance.launcher()
        assert launcher is not None
        assert launcher.pid == os.getpid()


@pytest.mark.parametrize("record", ["", '{"name": "up"', '{"pid": 1}', "[]"])
def test_half_a_record_of_a_launcher_keeps_nobody_from_starting(
    instance: Instance, record: str
) -> None:
    instance.directory.mkdir(parents=True)
    (instance.directory / "up.pid").write_text(record)
    assert instance.launcher() is None
    with instance.claim():
        assert instance.launcher()
    assert not (instance.directory / "up.pid").exists()

"""Health checks as containers run them: cheap, and true about a process and its Redis."""

from __future__ import annotations

import socket
import subprocess
import time

import pytest

from tests.support.harness import QUICK, ROOT, eventually, free_port, running_redis, running_system


def check(*words: object) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "scripts" / "healthy.sh", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def healthy(*words: object) -> bool:
    return check(*words).returncode == 0


def test_a_worker_and_a_courier_are_healthy_only_while_redis_accepts_their_beats(tmp_path):
    worker_file, courier_file = tmp_path / "worker", tmp_path / "courier"
    with running_redis(tmp_path) as redis, running_system(redis.url, tmp_path, **QUICK) as system:
        assert not healthy("file", worker_file, 3)
        system.worker(SIGHTLINE_SIGN_OF_LIFE=str(worker_file))
        system.courier(SIGHTLINE_SIGN_OF_LIFE=str(courier_file))
        for file in (worker_file, courier_file):
            eventually(lambda file=file: healthy("file", file, 3))
        redis.kill()
        for file in (worker_file, courier_file):
            eventually(lambda file=file: not healthy("file", file, 3))
        assert "s old" in check("file", worker_file, 3).stdout
        redis.start()
        for file in (worker_file, courier_file):
            eventually(lambda file=file: healthy("file", file, 3))


def test_a_killed_worker_is_unhealthy(own_redis, tmp_path):
    file = tmp_path / "sign"
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        worker = system.worker(SIGHTLINE_SIGN_OF_LIFE=str(file))
        eventually(lambda: healthy("file", file, 3))
        worker.kill()
        eventually(lambda: not healthy("file", file, 3))


def test_a_worker_that_cannot_write_its_sign_of_life_still_works_and_says_so(own_redis, tmp_path):
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        worker = system.worker(SIGHTLINE_SIGN_OF_LIFE=str(tmp_path / "none" / "sign"))
        _, http = system.gateway()
        body = {"prompt": "hi", "max_new_tokens": 2}
        answer = http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"})
        assert answer.json()["status"] == "succeeded"
        assert "sign_of_life.failed" in worker.logs()


def test_a_gateway_is_healthy_as_long_as_it_answers(own_redis, tmp_path):
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        process, http = system.gateway()
        port = http.base_url.port
        assert healthy("http", port, "/healthz")
        assert not healthy("http", port, "/no-such-path")
        process.kill()
        assert not healthy("http", port, "/healthz")
        eventually(lambda: "nobody listens" in check("http", port, "/healthz").stdout)


def test_a_server_that_accepts_and_says_nothing_is_unhealthy():
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        since = time.monotonic()
        answer = check("http", listener.getsockname()[1], "/healthz")
        assert "nothing" in answer.stdout
        assert time.monotonic() - since < 15


@pytest.mark.parametrize("words", [(), ("file",), ("file", "x"), ("ftp", "1", "/")])
def test_a_check_of_nothing_is_no_success(words):
    answer = check(*words)
    assert answer.returncode == 2
    assert "healthy.sh file FILE SECONDS" in answer.stderr

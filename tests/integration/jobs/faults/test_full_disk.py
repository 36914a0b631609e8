"""Redis' disk is full: everybody says so, no process ends, and all go on when there is room."""

from __future__ import annotations

import json
import re
import resource
from pathlib import Path

import pytest

from tests.support.harness import (
    QUICK,
    RedisServer,
    eventually,
    redis_binary,
    running_redis,
    running_system,
)


def _limit_files(redis: RedisServer, most: int) -> None:
    """Let no file of the server grow beyond `most` bytes, as if the disk ended there."""
    pid = redis.client().info("server")["process_id"]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


@pytest.fixture
def surviving_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A Redis that gets an error, not a signal, when a file may not grow."""
    wrapper = tmp_path / "bin" / "redis-server"
    wrapper.parent.mkdir()
    wrapper.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {redis_binary()} \"$@\"\n")
    wrapper.chmod(0o755)
    monkeypatch.setenv("REDIS_SERVER", str(wrapper))
    folder = tmp_path / "redis"
    folder.mkdir()
    with running_redis(folder) as redis:
        yield redis


def test_a_full_disk_is_named_and_survived(surviving_redis: RedisServer, tmp_path):
    redis = surviving_redis
    with running_system(redis.url, tmp_path, **QUICK) as system:
        worker, courier = system.worker(), system.courier()
        gateway, http = system.gateway()

        def ask() -> tuple[int, dict]:
            answer = http.post("/v1/jobs", json={"prompt": "?"}, headers={"Prefer": "wait=60"})
            return answer.status_code, answer.json()

        assert ask()[1]["status"] == "succeeded"
        _limit_files(redis, 1)
        eventually(lambda: http.get("/readyz").status_code == 503)
        ready = http.get("/readyz")
        assert ready.json()["code"] == "store_cannot_write"
        status, problem = ask()
        assert (status, problem["code"]) == (503, "store_cannot_write")
        assert "Redis cannot write" in problem["detail"]
        assert "File too large" in problem["detail"]
        figures = http.get("/metrics").text
        assert 'sightline_redis_writable{role="queue"} 0.0' in figures, re.findall(
            "sightline_redis.*", figures
        )
        for process, event in ((worker, "beat.waiting"), (courier, "courier.waiting")):
            eventually(lambda p=process, e=event: _causes(p, e, "Redis cannot write"))
        assert "store.read_only" in gateway.logs()
        # the consumer has met the refusal too
        eventually(lambda: "Connection to broker lost" in worker.logs())
        assert worker.running
        assert courier.running
        _limit_files(redis, resource.RLIM_INFINITY)
        eventually(lambda: http.get("/readyz").status_code == 200)
        assert ask()[1]["status"] == "succeeded"
        assert worker.running
        assert "Unrecoverable" not in worker.logs()


def _causes(process, event: str, words: str) -> bool:
    lines = [json.loads(line) for line in process.logs().splitlines() if line.startswith("{")]
    return any(line["event"] == event and words in line.get("cause", "") for line in lines)


@pytest.mark.parametrize(
    "refusal", [("min-replicas-to-write", "1", "0"), ("maxmemory", "1kb", "0")]
)
def test_a_worker_outlives_every_refusal_of_its_redis(own_redis: RedisServer, tmp_path, refusal):
    name, broken, mended = refusal
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        worker = system.worker()
        _, http = system.gateway()
        own_redis.client().config_set(name, broken)
        eventually(lambda: http.get("/readyz").status_code == 503)
        late = system.worker(wait=False)
        # time for the consumers to be refused several times
        eventually(lambda: worker.logs().count("beat.waiting") >= 20)
        assert worker.running
        assert late.running
        own_redis.client().config_set(name, mended)
        eventually(lambda: http.get("/readyz").status_code == 200)
        answer = http.post("/v1/jobs", json={"prompt": "?"}, headers={"Prefer": "wait=60"})
        assert answer.json()["status"] == "succeeded", answer.text
        eventually(lambda: "worker.ready" in late.logs())

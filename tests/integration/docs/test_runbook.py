"""The commands of the runbook, run on a real service."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from scripts import redis_users
from tests.support.harness import (
    QUICK,
    ROOT,
    RedisServer,
    System,
    eventually,
    free_port,
    running_redis,
    running_system,
)

PAGE = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
BLOCKS = {
    part.splitlines()[0]: command
    for part in PAGE.split("\n## ")
    for command in re.findall(r"<!-- run -->\n```sh\n(.*?)```", part, re.DOTALL)
}


def _run(title: str, folder: Path, **environ: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    completed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", BLOCKS[title]],
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 0, f"{title}: {completed.stdout}{completed.stderr}"
    return completed.stdout


@pytest.mark.skipif(shutil.which("redis-check-rdb") is None, reason="needs redis-tools")
def test_a_backup_holds_the_jobs_that_wait(system: System, redis_server: RedisServer, tmp_path):
    _, http = system.gateway()
    jobs = [http.post("/v1/jobs", json={"prompt": "hi"}).json()["id"] for _ in range(3)]
    _run("Back up", tmp_path, REDIS=redis_server.url)
    port = free_port()
    restored = redis.Redis(port=port, decode_responses=True)
    try:
        printed = _run("Restore", tmp_path, RESTORED=str(port))
        assert printed.splitlines()[-1] == "3"
        assert set(restored.zrange("sl:queued", 0, -1)) == set(jobs)
        assert restored.info("persistence")["aof_enabled"] == 1
    finally:
        restored.shutdown(nosave=True)


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="needs redis-tools")
def test_a_look_at_a_service_in_trouble(system: System, redis_server: RedisServer, tmp_path):
    worker = system.worker()
    _, http = system.gateway()
    where = {
        "URL": str(http.base_url).rstrip("/"),
        "REDIS": redis_server.url,
        "SIGHTLINE_REDIS_URL": redis_server.url,
    }
    job = http.post("/v1/jobs", json={"prompt": "hi"}, headers={"Prefer": "wait=60"}).json()
    assert job["status"] == "succeeded"
    assert "jobs.succeeded" in _run("A queue that does not move", tmp_path, **where)
    _run("A Redis that is full", tmp_path, **where)
    assert redis_server.client().config_get("maxmemory")["maxmemory"] == str(2 << 30)
    redis_server.client().config_set("maxmemory", 0)
    assert 'sightline_stage_seconds_count{stage="decode"} 1.0' in _run(
        "Slow answers", tmp_path, **where
    )
    assert "sightline_worker_info" in _run("Upgrade", tmp_path, **where)
    _run("Drain a worker", tmp_path, WORKER_PID=str(worker.pid), **where)
    eventually(lambda: not worker.running)
    assert worker.wait() in (0, -signal.SIGTERM)
    assert http.get("/v1/queue").json()["workers"] == []


@pytest.mark.skipif(shutil.which("redis-check-rdb") is None, reason="needs redis-tools")
def test_the_operator_may_do_all_that_the_runbook_does(tmp_path):
    file = tmp_path / "users.acl"
    words = {name: [f"word-of-{name}"] for name in redis_users.RULES}
    file.write_text(redis_users.render_acl(words))
    login = ("operator", "word-of-operator")
    with running_redis(tmp_path, "--aclfile", str(file), login=login) as server:
        place = f"127.0.0.1:{server.port}/0"
        gateway = f"redis://gateway:word-of-gateway@{place}"
        with running_system(gateway, tmp_path, **QUICK) as system:
            _, http = system.gateway()
            job = http.post("/v1/jobs", json={"prompt": "hi"}).json()["id"]
            where = {
                "URL": str(http.base_url).rstrip("/"),
                "REDIS": f"redis://operator:word-of-operator@{place}",
            }
            _run("Back up", tmp_path, **where)
            assert job in _run("A queue that does not move", tmp_path, **where)
            _run("A Redis that is full", tmp_path, **where)
            assert server.client().config_get("maxmemory")["maxmemory"] == str(2 << 30)
            (file.parent / "users.acl").write_text(redis_users.render_acl(words | {"probe": ["x"]}))
            _run("Rotate passwords", tmp_path, **where)
            with redis.Redis(port=server.port, username="probe", password="x") as probe:
                assert probe.ping()
            with pytest.raises(redis.exceptions.NoPermissionError):
                server.client().flushall()

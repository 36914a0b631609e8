"""A Redis that takes no writes is still read: whoever looks sees what there is."""

from __future__ import annotations

import pytest

from tests.support.harness import QUICK, eventually, running_redis, running_system

REFUSALS = {
    "full": (["CONFIG", "SET", "maxmemory", "1kb"], ["CONFIG", "SET", "maxmemory", "0"]),
    "replica": (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
    "too few replicas": (
        ["CONFIG", "SET", "min-replicas-to-write", "1"],
        ["CONFIG", "SET", "min-replicas-to-write", "0"],
    ),
}


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory):
    """Jobs of all kinds, a worker that died, and then no writes any more."""
    folder = tmp_path_factory.mktemp("read-only")
    with running_redis(folder) as redis, running_system(redis.url, folder, **QUICK) as system:
        worker = system.worker()
        _, http = system.gateway()
        body = {"prompt": "?", "session_id": "talk"}
        ended = http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"}).json()
        assert ended["status"] == "succeeded"
        worker.kill()
        waits = http.post("/v1/jobs", json={"prompt": "?"}).json()
        # its heartbeat is gone, but not its place in the list, which reading tidies up
        eventually(lambda: http.get("/readyz").status_code == 503)
        yield redis, http, ended, waits


@pytest.mark.parametrize("cause", REFUSALS)
def test_all_that_is_read_is_read(read_only, cause):
    redis, http, ended, waits = read_only
    begin, end = REFUSALS[cause]
    client = redis.client()
    workers = client.zrange("sl:workers", 0, -1, withscores=True)
    client.zadd("sl:workers", {"a worker that is gone": 1.0, **dict(workers)})
    client.zadd("sl:sessions:anonymous", {"a session that is gone": 1.0})
    client.zadd("sl:jobs:anonymous", {"job_that_is_gone": 0.0})
    client.execute_command(*begin)
    try:
        paths = ["/v1/queue", "/v1/limits", "/v1/presets", "/v1/models", "/v1/sessions"]
        paths += ["/v1/jobs", "/v1/jobs?status=queued", "/v1/jobs?status=running"]
        paths += ["/v1/jobs?status=succeeded", "/v1/jobs?session_id=talk", "/v1/sessions/talk"]
        paths += [f"/v1/jobs/{ended['id']}", f"/v1/jobs/{ended['id']}/result"]
        paths += [f"/v1/jobs/{waits['id']}"]
        answers = {path: http.get(path) for path in paths}
        assert {path: one.text for path, one in answers.items() if one.status_code != 200} == {}
        listed = [job["id"] for job in answers["/v1/jobs?status=queued"].json()["data"]]
        assert listed == [waits["id"]]
        assert answers["/v1/queue"].json()["queued"] == 1
        assert "sightline_queue_depth" in http.get("/metrics").text
    finally:
        client.execute_command(*end)

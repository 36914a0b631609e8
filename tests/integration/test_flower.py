"""Flower beside a working system, through its own API."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import pytest

from tests.harness import BIN, System, eventually, free_port

SECRET = "what is on this secret picture?"


@pytest.fixture
def flower(system: System) -> Iterator[httpx.Client]:
    port = free_port()
    command = [str(BIN / "celery"), "-A", "shared.queue", "flower"]
    command += ["--address=127.0.0.1", f"--port={port}"]
    system.spawn(command, "flower", {"FLOWER_BASIC_AUTH": "me:word"})
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
        client.auth = ("me", "word")
        eventually(lambda: _up(client), 30)
        yield client


def _up(client: httpx.Client) -> bool:
    try:
        return client.get("/healthcheck").status_code == 200
    except httpx.TransportError:
        return False


def test_flower_shows_a_busy_worker_its_queues_and_tasks_but_no_question(
    system: System, flower: httpx.Client
):
    system.worker(SIGHTLINE_SIMULATED_TOKEN_S="0.4")
    _, client = system.gateway()
    job = client.post("/v1/jobs", json={"prompt": SECRET}).json()["id"]
    eventually(lambda: client.get(f"/v1/jobs/{job}").json()["status"] == "running")

    (name, worker), *others = eventually(
        lambda: flower.get("/api/workers", params={"refresh": "1"}).json()
    ).items()
    assert not others
    queues = {queue["name"] for queue in worker["active_queues"]}
    assert queues >= {"high", "default", "low"}
    state = flower.get("/api/workers", params={"status": "1"}).json()
    assert state == {name: True}, "a computing worker must answer"
    assert client.get(f"/v1/jobs/{job}").json()["status"] == "running"

    tasks = eventually(lambda: flower.get("/api/tasks").json())
    assert tasks[job]["name"] == "sightline.answer"
    assert tasks[job]["args"] == f"['{job}']"
    eventually(lambda: client.get(f"/v1/jobs/{job}").json()["status"] == "succeeded", 30)
    result = client.get(f"/v1/jobs/{job}/result").text
    eventually(lambda: flower.get("/api/tasks").json()[job]["state"] == "SUCCESS")
    for path in ("/api/tasks", f"/api/task/info/{job}", f"/task/{job}", "/tasks", "/workers"):
        page = flower.get(path).text
        assert SECRET not in page
        assert result not in page


def test_flower_asks_who_is_there(flower: httpx.Client):
    for headers in ({}, {"Authorization": "Basic " + base64.b64encode(b"me:wrong").decode()}):
        with httpx.Client(base_url=flower.base_url, trust_env=False) as stranger:
            for path in ("/", "/workers", "/api/workers", "/api/tasks", "/broker"):
                assert stranger.get(path, headers=headers).status_code == 401

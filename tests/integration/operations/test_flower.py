"""Flower on a running system: what it shows and what it can do."""

from __future__ import annotations

import base64
import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
import redis
from celery import Celery

from shared.store import keys
from tests.support.harness import (
    BIN,
    QUICK,
    RedisServer,
    System,
    eventually,
    free_port,
    running_system,
)
from tests.support.images.image_bytes import plain_png

SECRET = "what is on this secret picture?"


@pytest.fixture
def flower(system: System) -> Iterator[httpx.Client]:
    with started(system) as client:
        yield client


@contextlib.contextmanager
def started(system: System, **env: str) -> Iterator[httpx.Client]:
    port = free_port()
    command = [sys.executable, "-m", "shared.queue.flower"]
    command += ["--address=127.0.0.1", f"--port={port}"]
    system.spawn(command, "flower", {"FLOWER_BASIC_AUTH": "me:word", **env})
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        client.auth = ("me", "word")
        eventually(lambda: _up(client))
        _wait_until_listening(client, system)
        yield client


def _up(client: httpx.Client) -> bool:
    try:
        return client.get("/healthcheck").status_code == 200
    except httpx.TransportError:
        return False


def _wait_until_listening(client: httpx.Client, system: System) -> None:
    """Wait until Flower sees events: it is healthy before it listens, and misses what comes then.

    The event of a worker that does not exist is sent until Flower counts it.
    """
    with Celery(broker=system.env["SIGHTLINE_REDIS_URL"]) as app, app.connection() as connection:
        dispatcher = app.events.Dispatcher(connection, hostname=(name := f"probe{free_port()}"))

        def seen() -> bool:
            dispatcher.send("worker-offline")
            return f'flower_worker_online{{worker="{name}"}}' in client.get("/metrics").text

        eventually(seen)


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
    assert tasks[job]["args"] == f"{job} question, no image"
    eventually(lambda: flower.get("/api/tasks").json()[job]["state"] == "STARTED")
    eventually(lambda: client.get(f"/v1/jobs/{job}").json()["status"] == "succeeded")
    result = client.get(f"/v1/jobs/{job}/result").text
    eventually(lambda: flower.get("/api/tasks").json()[job]["state"] == "SUCCESS")
    assert flower.get(f"/api/task/info/{job}").json()["result"].endswith(" tokens")
    for path in ("/api/tasks", f"/api/task/info/{job}", f"/task/{job}", "/tasks", "/workers"):
        page = flower.get(path).text
        assert SECRET not in page
        assert result not in page


def test_flower_shows_how_each_job_ended(system: System, flower: httpx.Client):
    worker = system.worker(slots=1, SIGHTLINE_SIMULATED_TOKEN_S="0.2")
    _, client = system.gateway()
    first, second, third = (_submitted(client) for _ in range(3))
    eventually(lambda: _status(client, first) == "running")
    assert client.post(f"/v1/jobs/{second}/cancel").status_code == 200

    def states() -> dict[str, str]:
        return {job: task["state"] for job, task in flower.get("/api/tasks").json().items()}

    eventually(lambda: states().get(third) == "STARTED")
    client.post(f"/v1/jobs/{third}/cancel")
    wanted = {first: "SUCCESS", second: "REVOKED", third: "REVOKED"}
    assert eventually(lambda: states() == wanted and states(), 30), states()
    assert "Traceback" not in worker.logs()


def test_flower_shows_a_failed_job_as_failed_and_what_kind_it_was(system, flower):
    _, client = system.gateway()
    image = client.post("/v1/images", files={"image": plain_png("red", 640, 480)}).json()["id"]
    body = {"preset": "ocr", "images": [image]}
    kept, lost = (client.post("/v1/jobs", json=body).json()["id"] for _ in range(2))
    with redis.Redis.from_url(system.env["SIGHTLINE_REDIS_URL"]) as operator:
        assert operator.delete(keys.image("anonymous", image))
    system.worker(slots=1)
    eventually(lambda: _status(client, kept) == _status(client, lost) == "failed")

    def shown() -> dict[str, str]:
        task = flower.get("/api/tasks").json().get(lost, {})
        return {name: task.get(name) for name in ("state", "exception", "args")}

    args = f"{lost} ocr, 1 image, 0.3 megapixels"
    wanted = {"state": "FAILURE", "exception": "image_gone", "args": args}
    assert eventually(lambda: shown() == wanted and shown(), 60), shown()


def test_flower_shows_ends_that_no_worker_was_there_to_tell(system, flower):
    worker = system.worker(slots=1, SIGHTLINE_SIMULATED_TOKEN_S="0.5")
    _, http = system.gateway(SIGHTLINE_MAX_ATTEMPTS="1")
    body = {"prompt": "?", "max_new_tokens": 400}
    job, waiting = (http.post("/v1/jobs", json=body).json()["id"] for _ in range(2))
    eventually(lambda: _status(http, job) == "running", 60)
    eventually(lambda: flower.get("/api/tasks").json().get(job, {}).get("state") == "STARTED", 60)
    worker.kill()
    assert http.post(f"/v1/jobs/{waiting}/cancel").json()["status"] == "canceled"
    eventually(lambda: _status(http, job) == "failed", 60)

    def shown() -> dict[str, tuple[str, str]]:
        tasks = flower.get("/api/tasks").json()
        return {job: (task["state"], task["exception"]) for job, task in tasks.items()}

    wanted = {job: ("FAILURE", "poison"), waiting: ("REVOKED", None)}
    assert eventually(lambda: shown() == wanted and shown(), 60), shown()


def test_flower_asks_who_is_there(flower: httpx.Client):
    for headers in ({}, {"Authorization": "Basic " + base64.b64encode(b"me:wrong").decode()}):
        with httpx.Client(base_url=flower.base_url, trust_env=False, timeout=60) as anonymous:
            for path in ("/", "/workers", "/api/workers", "/api/tasks", "/broker"):
                assert anonymous.get(path, headers=headers).status_code == 401


def _submitted(http: httpx.Client) -> str:
    return http.post("/v1/jobs", json={"prompt": "What is it?"}).json()["id"]


def _status(http: httpx.Client, job: str) -> str:
    return http.get(f"/v1/jobs/{job}").json()["status"]


ENDINGS = ["/api/task/abort/{}", "/api/task/revoke/{}", "/api/task/revoke/{}?terminate=true"]


def test_flower_cancels_a_job_that_waits_though_no_worker_is_there(system, flower):
    _, http = system.gateway()
    for path in ENDINGS:
        job = _submitted(http)
        assert _status(http, job) == "queued"
        response = flower.post(path.format(job))
        assert response.status_code == 200, response.text
        assert _status(http, job) == "canceled"
        assert flower.get(f"/api/task/result/{job}").json()["state"] == "REVOKED"
    assert flower.post(ENDINGS[0].format("job_unknown")).status_code == 200


def test_flower_stops_a_running_job_and_its_worker_goes_on(system, flower):
    worker = system.worker(slots=1, SIGHTLINE_SIMULATED_TOKEN_S="0.3")
    _, http = system.gateway()
    for path in ENDINGS:
        job = _submitted(http)
        eventually(lambda job=job: _status(http, job) == "running")
        assert flower.post(path.format(job)).status_code == 200
        assert eventually(lambda job=job: _status(http, job) != "running" and _status(http, job))
        assert _status(http, job) == "canceled"
    assert "Traceback" not in worker.logs()


def test_celery_control_revoke_cancels_a_job(system):
    system.worker(slots=1, SIGHTLINE_SIMULATED_TOKEN_S="0.3")
    _, http = system.gateway()
    running = _submitted(http)
    eventually(lambda: _status(http, running) == "running")
    waiting = _submitted(http)
    command = [str(BIN / "celery"), "-A", "shared.queue", "control", "revoke", waiting, running]
    completed = subprocess.run(command, env=system.env, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    assert _status(http, waiting) == "canceled"
    eventually(lambda: _status(http, running) == "canceled")


def test_a_flower_that_only_reads_refuses_to_cancel(system):
    _, http = system.gateway()
    job = _submitted(http)
    with started(system, FLOWER_READ_ONLY="True") as flower:
        for path in ENDINGS:
            assert flower.post(path.format(job)).status_code == 403
        assert flower.post("/api/worker/shutdown/w0").status_code == 403
        assert flower.get("/api/tasks").status_code == 200
    assert _status(http, job) == "queued"


def test_flower_survives_a_restart_of_redis(own_redis: RedisServer, tmp_path):
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        system.worker()
        _, http = system.gateway()
        with started(system) as flower:
            seen = {"refresh": "1"}
            eventually(lambda: flower.get("/api/workers", params=seen).json())
            own_redis.kill()
            own_redis.start()
            _wait_until_listening(flower, system)
            job = eventually(lambda: http.post("/v1/jobs", json={"prompt": "hi"}).json().get("id"))
            eventually(lambda: _status(http, job) == "succeeded")
            eventually(lambda: flower.get("/api/tasks").json().get(job, {}).get("state"))
            eventually(lambda: flower.get("/api/workers", params=seen).json())
            assert flower.post(ENDINGS[0].format(job)).status_code == 200
            assert _status(http, job) == "succeeded", "what has ended stays as it is"


def test_nobody_can_starve_a_queue_through_flower_or_celery(system: System, flower: httpx.Client):
    worker = system.worker()
    _, client = system.gateway()
    (name,) = eventually(lambda: flower.get("/api/workers", params={"refresh": "1"}).json())
    path = f"/api/worker/queue/cancel-consumer/{name}"
    answer = flower.post(path, params={"queue": "default"})
    assert answer.status_code >= 400, answer.text
    command = [str(BIN / "celery"), "-A", "shared.queue", "control"]

    def control(*what: str) -> bytes:
        done = subprocess.run(
            [*command, *what], env=system.env, capture_output=True, timeout=60, check=True
        )
        return done.stdout + done.stderr

    assert b"limit the API keys instead" in control("rate_limit", "sightline.answer", "1/h")
    assert b"leaves its queues only by stopping" in control("cancel_consumer", "default")
    assert worker.logs().count("control.refused") == 2
    answers = [
        client.post("/v1/jobs", json={"prompt": "?"}, headers={"Prefer": "wait=60"}).json()
        for _ in range(3)
    ]
    assert {one["status"] for one in answers} == {"succeeded"}
    assert client.get("/readyz").status_code == 200


#: Controls of Flower's page of a worker, and paths of its API, that could do nothing here or harm.
USELESS = (
    "pool-grow",
    "pool-shrink",
    "autoscale",
    "pool-restart",
    "consumer",
    "rate-limit",
    "timeout",
)
USELESS_PATHS = (
    "worker/pool/grow/{}?n=1",
    "worker/pool/shrink/{}?n=1",
    "worker/pool/restart/{}",
    "worker/pool/autoscale/{}?min=1&max=2",
    "worker/queue/add-consumer/{}?queue=x",
    "worker/queue/cancel-consumer/{}?queue=default",
    "task/rate-limit/sightline.answer?workername={}&ratelimit=1",
    "task/timeout/sightline.answer?workername={}&soft=1",
    "task/apply/sightline.answer",
    "task/async-apply/sightline.answer",
    "task/send-task/sightline.answer",
)


def test_flower_offers_only_what_does_something_here(system: System, flower: httpx.Client):
    worker = system.worker()
    (name,) = eventually(lambda: flower.get("/api/workers", params={"refresh": "1"}).json())
    page = flower.get(f"/worker/{name}").text
    assert re.findall(rf'id="[^"]*(?:{"|".join(USELESS)})[^"]*"', page) == []
    # the queues and the figures of the pool are still shown
    for kept in ('id="worker-shutdown"', 'id="worker-refresh"', 'id="worker-queues"', "tab-pool"):
        assert kept in page
    for path in USELESS_PATHS:
        refused = flower.post(f"/api/{path.format(name)}", json={"args": []})
        assert refused.status_code == 403, path
        assert "POST /v1/jobs" in refused.text
    assert flower.post(f"/api/worker/shutdown/{name}").status_code == 200
    eventually(lambda: "worker.stopped" in worker.logs(), 60)


def test_a_queue_that_no_worker_takes_from_makes_the_service_unready(system: System):
    command = [str(BIN / "celery"), "-A", "worker.app", "worker", "-P", "threads", "-c", "2"]
    partial = system.spawn([*command, "-Q", "high", "-n", "half@%h"], "half", {})
    _, client = system.gateway()
    eventually(lambda: "worker.ready" in partial.logs())

    def missing() -> bool:
        ready = client.get("/readyz")
        return ready.status_code == 503 and "default, low" in ready.json()["detail"]

    eventually(missing)
    assert client.get("/readyz").json()["code"] == "no_workers"
    system.worker()
    eventually(lambda: client.get("/readyz").status_code == 200)

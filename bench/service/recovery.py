"""Measures what a kill -9 costs Sightline, Flask with Celery, and a queue in the web process.

`python -m bench.service.recovery` needs the extra `bench`. It submits twenty jobs of a second,
four at a time; after a second and a half the worker is killed and started again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from bench.service.setup import running_service
from tests.support.harness import (
    BIN,
    Process,
    RedisServer,
    System,
    eventually,
    free_port,
)

JOBS, SLOTS, WORK_S = 20, 4, 1.0
KILLED_AFTER_S = 1.5
NAMES = (
    "Sightline",
    "Flask and Celery",
    "Flask and Celery, late acknowledgement",
    "queue inside the web process",
)


@dataclass
class RunningService:
    """A running service: how to submit a job, count finished ones, and start its worker."""

    submit: Callable[[int], str]
    count_done: Callable[[list[str]], int]
    start_worker: Callable[[], Process]


def _submit(http: httpx.Client, path: str, number: int) -> str:
    body = {"prompt": f"question {number}", "max_new_tokens": 9}
    answer = http.post(path, json=body)
    answer.raise_for_status()
    return str(answer.json()["id"])


def _answers(http: httpx.Client, path: str) -> bool:
    try:
        return bool(http.get(path).status_code)
    except httpx.TransportError:
        return False


def _start_sightline(system: System, redis: RedisServer) -> RunningService:
    _, http = system.gateway()
    client = redis.client()

    def done(ids: list[str]) -> int:
        return sum(client.hget(f"sl:job:{one}", "status") == "succeeded" for one in ids)

    step = {"SIGHTLINE_SIMULATED_TOKEN_S": str(WORK_S / 10), "SIGHTLINE_SIMULATED_IMAGE_S": "0"}
    return RunningService(
        lambda number: _submit(http, "/v1/jobs", number),
        done,
        lambda: system.worker(SLOTS, **step),
    )


def _start_celery(system: System, redis: RedisServer, late: bool) -> RunningService:
    port = free_port()
    environment = {
        "REDIS_URL": redis.url,
        "BASELINE_WORK_S": str(WORK_S),
        "BASELINE_ACKS_LATE": str(int(late)),
    }
    module = "bench.baselines.celery_app"
    system.spawn(
        [str(BIN / "gunicorn"), "-k", "gevent", "-b", f"127.0.0.1:{port}", f"{module}:app"],
        "flask",
        environment,
    )
    http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
    eventually(lambda: _answers(http, "/"), 60, 0.3)
    client = redis.client()

    def start() -> Process:
        command = [str(BIN / "celery"), "-A", f"{module}:queue", "worker", "-P", "threads"]
        worker = system.spawn([*command, "-c", str(SLOTS), "-l", "INFO"], "celery", environment)
        before = worker.logs().count("ready.")
        eventually(lambda: worker.logs().count("ready.") > before, 60)
        return worker

    return RunningService(
        lambda number: _submit(http, "/predict", number),
        lambda ids: sum(bool(client.exists(f"celery-task-meta-{one}")) for one in ids),
        start,
    )


def _start_inprocess(system: System, redis: RedisServer) -> RunningService:  # noqa: ARG001
    port = free_port()
    http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
    command = [sys.executable, "-m", "bench.baselines.inprocess_app", str(port)]

    def start() -> Process:
        environment = {"BASELINE_WORK_S": str(WORK_S), "BASELINE_SLOTS": str(SLOTS)}
        process = system.spawn(command, "inside", environment)
        eventually(lambda: _answers(http, "/jobs/x"), 60, 0.3)
        return process

    def done(ids: list[str]) -> int:
        responses = [http.get(f"/jobs/{one}") for one in ids]
        return sum(r.status_code == 200 and r.json()["status"] == "succeeded" for r in responses)

    return RunningService(lambda number: _submit(http, "/predict", number), done, start)


@contextmanager
def _running(name: str) -> Iterator[RunningService]:
    with running_service() as (system, redis):
        if name == "Sightline":
            yield _start_sightline(system, redis)
        elif name.startswith("queue"):
            yield _start_inprocess(system, redis)
        else:
            yield _start_celery(system, redis, "late" in name)


def row(name: str, patience_s: float) -> str:
    """Kill the worker of a service between its jobs; return a row of Markdown."""
    with _running(name) as service:
        worker = service.start_worker()
        ids = [service.submit(number) for number in range(JOBS)]
        time.sleep(KILLED_AFTER_S)
        before = service.count_done(ids)
        worker.kill()
        killed = last = time.monotonic()
        service.start_worker()
        back_s = time.monotonic() - killed
        done = 0
        while done < JOBS and time.monotonic() - last < patience_s:
            if (now := service.count_done(ids)) > done:
                done, last = now, time.monotonic()
            time.sleep(0.1)
        took = f"{last - killed:.1f}" if done else "–"
    return f"| {name} | {before} | {back_s:.1f} | {done} | {JOBS - done} | {took} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patience", type=float, default=30.0, help="seconds without an end")
    patience_s = parser.parse_args().patience
    load = os.getloadavg()[0]
    print("| | done before | started again, s | done | not done | last one, s after the kill |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in NAMES:
        print(row(name, patience_s), flush=True)
    print(f"\nLoad average at the start {load:.1f}, at the end {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()

"""What a kill -9 costs: ours beside a plain Flask and Celery and a queue inside the web process.

`python -m bench.service.recovery` needs the extra `bench`. Twenty jobs of a second, four at a time;
after a second and a half what does the work is killed and started again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.harness import (
    BIN,
    Process,
    RedisServer,
    System,
    eventually,
    free_port,
    running_redis,
    running_system,
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
class Rival:
    """A running service: how to give it a job, count the done ones, and end and start its work."""

    submit: Callable[[int], str]
    done: Callable[[list[str]], int]
    start: Callable[[], Process]


def _posted(http: httpx.Client, path: str, number: int) -> str:
    body = {"prompt": f"question {number}", "max_new_tokens": 9}
    answer = http.post(path, json=body)
    answer.raise_for_status()
    return str(answer.json()["id"])


def _answers(http: httpx.Client, path: str) -> bool:
    try:
        return bool(http.get(path).status_code)
    except httpx.TransportError:
        return False


def _ours(system: System, redis: RedisServer) -> Rival:
    _, http = system.gateway()
    client = redis.client()

    def done(ids: list[str]) -> int:
        return sum(client.hget(f"sl:job:{one}", "status") == "succeeded" for one in ids)

    step = {"SIGHTLINE_SIMULATED_TOKEN_S": str(WORK_S / 10), "SIGHTLINE_SIMULATED_IMAGE_S": "0"}
    return Rival(
        lambda number: _posted(http, "/v1/jobs", number),
        done,
        lambda: system.worker(SLOTS, **step),
    )


def _celery(system: System, redis: RedisServer, late: bool) -> Rival:
    port = free_port()
    told = {
        "REDIS_URL": redis.url,
        "BASELINE_WORK_S": str(WORK_S),
        "BASELINE_ACKS_LATE": str(int(late)),
    }
    module = "bench.baselines.celery_app"
    system.spawn(
        [str(BIN / "gunicorn"), "-k", "gevent", "-b", f"127.0.0.1:{port}", f"{module}:app"],
        "flask",
        told,
    )
    http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
    eventually(lambda: _answers(http, "/"), 60, 0.3)
    client = redis.client()

    def start() -> Process:
        command = [str(BIN / "celery"), "-A", f"{module}:queue", "worker", "-P", "threads"]
        worker = system.spawn([*command, "-c", str(SLOTS), "-l", "INFO"], "celery", told)
        before = worker.logs().count("ready.")
        eventually(lambda: worker.logs().count("ready.") > before, 60)
        return worker

    return Rival(
        lambda number: _posted(http, "/predict", number),
        lambda ids: sum(bool(client.exists(f"celery-task-meta-{one}")) for one in ids),
        start,
    )


def _inside(system: System, redis: RedisServer) -> Rival:  # noqa: ARG001
    port = free_port()
    http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
    command = [sys.executable, "-m", "bench.baselines.inprocess_app", str(port)]

    def start() -> Process:
        told = {"BASELINE_WORK_S": str(WORK_S), "BASELINE_SLOTS": str(SLOTS)}
        process = system.spawn(command, "inside", told)
        eventually(lambda: _answers(http, "/jobs/x"), 60, 0.3)
        return process

    def done(ids: list[str]) -> int:
        told = [http.get(f"/jobs/{one}") for one in ids]
        return sum(one.status_code == 200 and one.json()["status"] == "succeeded" for one in told)

    return Rival(lambda number: _posted(http, "/predict", number), done, start)


@contextmanager
def _running(name: str) -> Iterator[Rival]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_redis(Path(folder)) as redis,
        running_system(redis.url, Path(folder)) as system,
    ):
        if name == "Sightline":
            yield _ours(system, redis)
        elif name.startswith("queue"):
            yield _inside(system, redis)
        else:
            yield _celery(system, redis, "late" in name)


def row(name: str, patience_s: float) -> str:
    """Return figures in Markdown."""
    with _running(name) as rival:
        worker = rival.start()
        ids = [rival.submit(number) for number in range(JOBS)]
        time.sleep(KILLED_AFTER_S)
        before = rival.done(ids)
        worker.kill()
        killed = last = time.monotonic()
        rival.start()
        back_s = time.monotonic() - killed
        done = 0
        while done < JOBS and time.monotonic() - last < patience_s:
            if (now := rival.done(ids)) > done:
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

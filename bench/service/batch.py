"""Measures a large batch: its checking, what it does to others, and the file of its results.

`python -m bench.service.batch --lines 50000` starts a Redis, a gateway and a worker with the
simulated engine. Others' figures are compared with those of the same service before the batch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from bench.service.setup import running_service
from tests.support.harness import QUICK, RedisServer

CHAT = "/v1/chat/completions"
ENGINE = {"SIGHTLINE_SIMULATED_IMAGE_S": "0", "SIGHTLINE_SIMULATED_TOKEN_S": "0.002"}
_MIB = 1 << 20
_BASE_S = 10.0
_UNFINISHED = ("validating", "in_progress", "cancelling", "finalizing")


@dataclass
class Others:
    """What others get meanwhile: the answers to small requests, and jobs of their own."""

    http: httpx.Client
    #: Seconds by phase.
    probes: dict[str, list[float]] = field(default_factory=dict)
    jobs: dict[str, list[float]] = field(default_factory=dict)
    failed: int = 0
    phase: str = "before"
    _stopped: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Ask all the time while the block runs."""
        threads = [threading.Thread(target=self._probe), threading.Thread(target=self._ask)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    def _probe(self) -> None:
        while not self._stopped.wait(0.05):
            began, phase = time.perf_counter(), self.phase
            self._note(self.http.get("/v1/limits"))
            self.probes.setdefault(phase, []).append(time.perf_counter() - began)

    def _ask(self) -> None:
        body = {"prompt": "what?", "max_new_tokens": 4}
        while not self._stopped.wait(0.3):
            began, phase = time.perf_counter(), self.phase
            self._note(self.http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"}))
            self.jobs.setdefault(phase, []).append(time.perf_counter() - began)

    def _note(self, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            self.failed += 1
            print(f"{self.phase}: {answer.status_code} {answer.text[:300]}", flush=True)

    def report(self) -> None:
        """Print how others fared in each phase, as multiples of before."""
        for name, figures in (("small requests", self.probes), ("others' jobs", self.jobs)):
            base = statistics.median(figures["before"])
            for phase, values in figures.items():
                ordered = sorted(values)
                worst, late = ordered[-1], ordered[int(0.99 * (len(ordered) - 1))]
                print(
                    f"{name}, {phase}: median {statistics.median(values) / base:.2f} times that "
                    f"before, 99 % {late / base:.1f}, worst {worst / base:.1f} "
                    f"({1000 * worst:.0f} ms of {len(values)})"
                )
        print(f"failed: {self.failed}")


@dataclass
class Memory:
    """Resident memory of the gateway and its children, and what Redis uses, in MiB."""

    pid: int
    redis: RedisServer

    def now(self) -> tuple[float, float]:
        """Return both."""
        parent = psutil.Process(self.pid)
        resident = 0
        for process in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                resident += process.memory_info().rss
        used = self.redis.client().info("memory")["used_memory"]
        return resident / _MIB, used / _MIB


def line(number: int) -> bytes:
    """Return one line of the input."""
    messages = [{"role": "user", "content": f"What does document {number} say about its date?"}]
    body = {"model": "sightline", "messages": messages, "max_tokens": 2}
    text = {"custom_id": f"line-{number}", "method": "POST", "url": CHAT, "body": body}
    return json.dumps(text).encode()


def wait_while(
    http: httpx.Client, batch_id: str, statuses: tuple[str, ...], seconds: float = float("inf")
) -> dict[str, Any]:
    """Return the batch once it has another status, or after so long."""
    until = time.monotonic() + seconds
    while True:
        answer = http.get(f"/v1/batches/{batch_id}")
        batch: dict[str, Any] = answer.json()
        if answer.status_code != 200:
            print(f"the batch was not told: {batch}", flush=True)
        elif batch["status"] not in statuses or time.monotonic() > until:
            return batch
        time.sleep(0.25)


def read_lines(http: httpx.Client, file_id: str) -> tuple[list[str], float, float]:
    """Return the names of a file's lines, and the seconds to its first and to its last byte."""
    began, first, rest = time.perf_counter(), 0.0, b""
    names: list[str] = []
    with http.stream("GET", f"/v1/files/{file_id}/content") as answer:
        for chunk in answer.iter_bytes():
            first = first or time.perf_counter() - began
            *whole, rest = (rest + chunk).split(b"\n")
            names += [json.loads(text)["custom_id"] for text in whole]
    if rest:
        names.append(json.loads(rest)["custom_id"])
    return names, first, time.perf_counter() - began


def run(lines: int, slots: int, seconds: float) -> None:
    """Run one batch and print its figures."""
    with running_service(**QUICK | ENGINE) as (system, redis):
        system.worker(slots=slots)
        process, http = system.gateway()
        http.timeout = 120
        memory, others = Memory(process.pid, redis), Others(http)
        with others.asking():
            time.sleep(_BASE_S)
            before = memory.now()
            others.phase, began = "upload", time.perf_counter()
            text = b"\n".join(line(number) for number in range(lines))
            file = http.post("/v1/files", files={"file": text}, data={"purpose": "batch"}).json()
            print(f"upload: {time.perf_counter() - began:.1f} s for {len(text) / _MIB:.1f} MiB")
            body = {"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h"}
            others.phase, began = "checking", time.perf_counter()
            batch = http.post("/v1/batches", json=body).json()
            wait_while(http, batch["id"], ("validating",))
            took = time.perf_counter() - began
            checked = memory.now()
            print(
                f"checking: {took:.1f} s, {1e6 * took / lines:.0f} us a line; the gateway grew by "
                f"{checked[0] - before[0]:.1f} MiB, Redis by {checked[1] - before[1]:.1f} MiB"
            )
            others.phase, began = "working", time.perf_counter()
            wait_while(http, batch["id"], _UNFINISHED, seconds)
            http.post(f"/v1/batches/{batch['id']}/cancel")
            batch = wait_while(http, batch["id"], _UNFINISHED)
            took, done = time.perf_counter() - began, batch["request_counts"]["completed"]
            worked = memory.now()
            print(
                f"working: {took:.0f} s, {done / took:.0f} lines a second, {batch['status']} "
                f"{batch['request_counts']}; the gateway grew by {worked[0] - before[0]:.1f} MiB, "
                f"Redis by {1024 * (worked[1] - checked[1]) / done:.1f} KiB a line"
            )
            others.phase = "reading"
            names, _, _ = read_lines(http, batch["output_file_id"])
            whole, first, took = read_lines(http, file["id"])
            print(
                f"reading {lines} lines: first byte after {first:.2f} s, whole after {took:.1f} s; "
                f"the gateway grew by {memory.now()[0] - worked[0]:.1f} MiB"
            )
        others.report()
        if len(names) != done or len(set(names)) != done or len(set(whole)) != lines:
            raise SystemExit(f"{len(names)} results, {len(set(names))} of them different")
        sys.exit(bool(others.failed))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="after which the batch is canceled"
    )
    arguments = parser.parse_args()
    run(arguments.lines, arguments.slots, arguments.seconds)

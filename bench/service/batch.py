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
            self.failed += self.http.get("/v1/limits").status_code != 200
            self.probes.setdefault(phase, []).append(time.perf_counter() - began)

    def _ask(self) -> None:
        body = {"prompt": "what?", "max_new_tokens": 4}
        while not self._stopped.wait(0.3):
            began, phase = time.perf_counter(), self.phase
            answer = self.http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"})
            self.failed += answer.json().get("status") != "succeeded"
            self.jobs.setdefault(phase, []).append(time.perf_counter() - began)

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


def wait_while(http: httpx.Client, batch_id: str, statuses: tuple[str, ...]) -> dict[str, Any]:
    """Return the batch once it has another status."""
    while True:
        batch: dict[str, Any] = http.get(f"/v1/batches/{batch_id}").json()
        if batch["status"] not in statuses:
            return batch
        time.sleep(0.25)


def check_output(http: httpx.Client, batch: dict[str, Any], lines: int) -> tuple[float, float]:
    """Return seconds to the first and to the last byte; each line must be there once."""
    began, first, rest, names = time.perf_counter(), 0.0, b"", set()
    count = 0
    with http.stream("GET", f"/v1/files/{batch['output_file_id']}/content") as answer:
        for chunk in answer.iter_bytes():
            first = first or time.perf_counter() - began
            *whole, rest = (rest + chunk).split(b"\n")
            for text in whole:
                names.add(json.loads(text)["custom_id"])
                count += 1
    if rest or count != lines or names != {f"line-{number}" for number in range(lines)}:
        raise SystemExit(f"{count} results with {len(names)} names of {lines} lines")
    return first, time.perf_counter() - began


def run(lines: int, slots: int) -> None:
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
            batch = wait_while(http, batch["id"], _UNFINISHED)
            took = time.perf_counter() - began
            worked = memory.now()
            print(
                f"working: {took:.0f} s, {lines / took:.0f} lines a second, {batch['status']} "
                f"{batch['request_counts']}; the gateway grew by {worked[0] - before[0]:.1f} MiB, "
                f"Redis by {1024 * (worked[1] - before[1]) / lines:.1f} KiB a line"
            )
            others.phase = "reading"
            first, whole = check_output(http, batch, lines)
            grown = memory.now()[0] - worked[0]
            print(
                f"output: first byte after {first:.2f} s, whole after {whole:.1f} s; the gateway "
                f"grew by {grown:.1f} MiB"
            )
        others.report()
        sys.exit(bool(others.failed) or batch["request_counts"]["completed"] != lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--slots", type=int, default=16)
    arguments = parser.parse_args()
    run(arguments.lines, arguments.slots)

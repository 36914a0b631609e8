"""Sends requests of all kinds at a steady rate for hours, and checks that nothing grows.

`python -m tests.chaos.soak --seconds 7200` runs the long form and prints its figures.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from tests.chaos.growth import Readings, kinds, of_machine, of_process, of_redis
from tests.support.harness import BIN, Process, System, free_port, running_redis, running_system
from tests.support.images.image_bytes import saved
from tests.support.servers.receivers import receiving

#: The shortest lifetimes that the settings allow, so that rows and images expire during a run.
_SHORT_LIVED = {
    "SIGHTLINE_JOB_TTL_S": "60",
    "SIGHTLINE_IMAGE_TTL_S": "60",
    "SIGHTLINE_SESSION_TTL_S": "60",
    "SIGHTLINE_IDEMPOTENCY_TTL_S": "60",
    "SIGHTLINE_ERASED_TTL_S": "60",
    "SIGHTLINE_DELIVERY_TTL_S": "60",
    "SIGHTLINE_FEATURES_TTL_S": "60",
    "SIGHTLINE_ALLOW_NETS": "127.0.0.0/8",
    "SIGHTLINE_ALLOW_PORTS": "1-65535",
    "SIGHTLINE_SIMULATED_IMAGE_S": "0.02",
    "SIGHTLINE_SIMULATED_TOKEN_S": "0.005",
    "SIGHTLINE_DRAIN_S": "0.3",
    # its list of tasks grows to this limit, which is to be reached early
    "FLOWER_MAX_TASKS": "500",
}
#: An image lives for two lifetimes of the last job that uses it.
_ALL_EXPIRED_S = 200.0
#: In a shorter run nothing expires, and a slow moment of the machine looks like growth.
_LONG_FORM_S = 300.0


@dataclass
class Soak:
    """The requests of a run, the readings meanwhile, and the violations."""

    seconds: float
    requests: Counter[str] = field(default_factory=Counter)
    readings: Readings = field(default_factory=Readings)
    keys_before: int = 0
    keys_after: int = 0
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = ["| figure | second quarter | last quarter |", "|---|---:|---:|"]
        lines += [
            f"| {name} | {early:.1f} | {late:.1f} |"
            for name, (early, late) in self.readings.quarters().items()
        ]
        total = self.requests.total()
        summary = f"{total} requests in {self.seconds:.0f} s: {dict(self.requests)}"
        keys = f"Keys before {self.keys_before}, after {self.keys_after}"
        return "\n".join([summary, keys, *lines])


class Load:
    """Sends one request after another; each kind of request is a method."""

    def __init__(self, http: httpx.Client, hook: str, soak: Soak) -> None:
        self._http = http
        self._hook = hook
        self._soak = soak
        self._lock = threading.Lock()
        self._latencies: list[float] = []
        self._kinds = (
            *(self.question, self.question, self.upload, self.upload, self.turn),
            *(self.with_webhook, self.streamed, self.canceled, self.refused, self.erased),
        )

    def ask(self, number: int) -> None:
        """Send the next kind of request, and count its outcome."""
        act = self._kinds[number % len(self._kinds)]
        started = time.perf_counter()
        try:
            act(number)
            outcome = act.__name__
        except Exception as error:  # noqa: BLE001
            outcome = f"{act.__name__} failed"
            self._soak.violations.append(f"{outcome}: {error!r}")
        with self._lock:
            self._soak.requests[outcome] += 1
            if act.__name__ == "question":
                self._latencies.append(1000 * (time.perf_counter() - started))

    def median_ms(self) -> float | None:
        """Return the median latency of the questions since the last call; None without any."""
        with self._lock:
            latencies, self._latencies = self._latencies, []
        return statistics.median(latencies) if latencies else None

    def _job(self, number: int, wait_s: int = 30, **fields: Any) -> dict[str, Any]:
        body = {"prompt": f"question {number}", "max_new_tokens": 8} | fields
        headers = {"Prefer": f"wait={wait_s}", "Idempotency-Key": f"soak {number}"}
        answer = self._http.post("/v1/jobs", json=body, headers=headers)
        answer.raise_for_status()
        return dict(answer.json())

    def _succeeded(self, number: int, **fields: Any) -> None:
        _expect(self._job(number, **fields)["status"] == "succeeded", "no success")

    def question(self, number: int) -> None:
        self._succeeded(number)

    def with_webhook(self, number: int) -> None:
        self._succeeded(number, webhook=self._hook)

    def turn(self, number: int) -> None:
        # a conversation of two turns
        self._succeeded(number, session_id=f"talk-{number}")
        self._succeeded(number + 10**9, session_id=f"talk-{number}")

    def upload(self, number: int) -> None:
        files = {"image": ("noise.png", _noise(number), "image/png")}
        answer = self._http.post("/predict", files=files, data={"prompt": "what is it?"})
        answer.raise_for_status()

    def streamed(self, number: int) -> None:
        body = {
            "model": "simulated",
            "stream": True,
            "messages": [{"role": "user", "content": f"stream {number}"}],
        }
        with self._http.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = list(answer.iter_lines())
        _expect("data: [DONE]" in lines, "the stream has no end")

    def canceled(self, number: int) -> None:
        job = self._job(number, 0, max_new_tokens=400)
        answer = self._http.post(f"/v1/jobs/{job['id']}/cancel")
        # 409: it had succeeded before
        _expect(answer.status_code in (200, 202, 409), answer.text)
        for _ in range(5):
            # a long poll ends with every change
            ended = self._http.get(f"/v1/jobs/{job['id']}", params={"wait": 5}).json()
            if ended["status"] != "running":
                break
        _expect(ended["status"] in ("canceled", "succeeded"), ended["status"])

    def refused(self, number: int) -> None:
        answer = self._http.post("/predict", files={"image": b"no image"}, data={"prompt": "?"})
        _expect(answer.status_code in (400, 415, 422), str(answer.status_code))

    def erased(self, number: int) -> None:
        job = self._job(number)
        self._http.delete(f"/v1/jobs/{job['id']}").raise_for_status()


def _expect(fact: bool, otherwise: str) -> None:
    if not fact:
        raise AssertionError(otherwise)


def _noise(number: int) -> bytes:
    pixels = random.Random(number).randbytes(48 * 48 * 3)
    return saved(Image.frombytes("RGB", (48, 48), pixels), "PNG")


def run(folder: Path, *, seconds: float, rate: float = 10.0, samples: int = 120) -> Soak:
    """Send `rate` requests a second for so long; return the readings and what grew."""
    soak = Soak(seconds)
    long_form = seconds >= _LONG_FORM_S
    with (
        running_redis(folder) as redis,
        running_system(redis.url, folder, **_SHORT_LIVED) as system,
        receiving() as receiver,
    ):
        gateway, http = system.gateway()
        watched = {"gateway": gateway, "worker": system.worker(8), "courier": system.courier()}
        if long_form:
            watched |= {"other worker": system.worker(8), "flower": _flower(system)}
        client = redis.client()
        soak.keys_before = client.dbsize()
        _watch(Load(http, receiver.url, soak), soak, watched, client, rate, samples)
        units = "MiB files keys entries ms" if long_form else "MiB files"
        soak.violations += soak.readings.grown(units)
        soak.violations += [f"{name} died" for name, one in watched.items() if not one.running]
        if long_form:
            soak.violations += _left_over(soak, client)
    return soak


def _flower(system: System) -> Process:
    command = [str(BIN / "celery"), "-A", "shared.queue", "flower", "--address=127.0.0.1"]
    return system.spawn([*command, f"--port={free_port()}"], "flower", {})


def _watch(
    load: Load, soak: Soak, watched: dict[str, Process], client: Any, rate: float, samples: int
) -> None:
    """Send requests at the rate, and take `samples` readings meanwhile."""
    started, number = time.monotonic(), 0
    next_reading = period = soak.seconds / samples
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        while (now := time.monotonic() - started) < soak.seconds:
            if now >= next_reading:
                next_reading += period
                _read(load, soak, watched, client)
            pool.submit(load.ask, number)
            number += 1
            time.sleep(max(0.0, started + number / rate - time.monotonic()))


def _read(load: Load, soak: Soak, watched: dict[str, Process], client: Any) -> None:
    figures = of_redis(client) | of_machine()
    for name, process in watched.items():
        # a process that died is reported at the end
        if process.running:
            figures |= of_process(name, process.pid)
    median = load.median_ms()
    soak.readings.add(figures | ({} if median is None else {"a question takes, ms": median}))


def _left_over(soak: Soak, client: Any) -> list[str]:
    """Wait until everything short-lived has expired; return a complaint if keys are left."""
    # keys that stay: counters, metrics, heartbeats, the broker's bindings
    most = soak.keys_before + 40
    deadline = time.monotonic() + _ALL_EXPIRED_S
    while client.dbsize() > most and time.monotonic() < deadline:
        time.sleep(2)
    soak.keys_after = client.dbsize()
    if soak.keys_after <= most:
        return []
    return [f"{soak.keys_after} keys are left: {kinds(client.scan_iter(count=1000))}"]


def main() -> int:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=7200.0)
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = run(Path(folder), seconds=arguments.seconds, rate=arguments.rate)
    print(soak)
    with contextlib.suppress(BrokenPipeError):
        print(*soak.violations[:50], sep="\n")
    return 1 if soak.violations else 0


if __name__ == "__main__":
    sys.exit(main())

"""Measures webhooks: their delay, and what a dead endpoint costs the others.

python -m bench.service.webhooks                one run, about five minutes
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import socket
import statistics
import time
from typing import Any

from bench.service.setup import running_service
from tests.support.harness import System, eventually
from tests.support.servers.receivers import Receiver, Request, dripping, raw, receiving

_ENVIRONMENT = {
    "SIGHTLINE_ALLOW_NETS": "127.0.0.0/8",
    "SIGHTLINE_ALLOW_PORTS": "1-65535",
    "SIGHTLINE_SIMULATED_TOKEN_S": "0.01",
    "SIGHTLINE_SIMULATED_IMAGE_S": "0",
}
#: Rounds with and without the dead endpoint alternate, so that the machine's load affects both.
_ROUNDS = 4
#: An attempt at the dead endpoint lasts 15 seconds; none may reach into the next round.
_REST_S = 16.0


class Bench:
    """A system with the default settings, and a receiver of its messages."""

    def __init__(self, system: System, receiver: Receiver, jobs: int, rate: float) -> None:
        system.worker(slots=8)
        system.courier()
        self._http = system.gateway()[1]
        self._receiver = receiver
        self._jobs = jobs
        self._rate = rate

    def waits_s(self, other: str) -> list[float]:
        """Return the seconds from each job's end to its message; `other` gets as many messages."""
        self._receiver.requests.clear()
        began, others = time.monotonic(), []
        for number in range(self._jobs):
            self._submit(self._receiver.url)
            others.append(self._submit(other))
            time.sleep(max(0.0, began + (number + 1) / self._rate - time.monotonic()))
        eventually(lambda: len(self._receiver.requests) >= self._jobs, 60)
        for job_id in others:
            # this also deletes the pending deliveries
            self._http.delete(f"/v1/jobs/{job_id}")
        return [_wait_s(request) for request in self._receiver.requests]

    def attempt_ms(self, webhook: str, within_s: float) -> int:
        """Return the milliseconds that the first attempt at a receiver takes."""
        path = f"/v1/jobs/{self._submit(webhook)}/deliveries"

        def attempts() -> list[dict[str, Any]]:
            return [a for d in self._http.get(path).json()["data"] for a in d["attempts"]]

        return int(eventually(attempts, within_s)[0]["ms"])

    def _submit(self, webhook: str) -> str:
        body = {"prompt": "?", "max_new_tokens": 1, "webhook": webhook}
        answer = self._http.post("/v1/jobs", json=body)
        answer.raise_for_status()
        return str(answer.json()["id"])


def _wait_s(request: Request) -> float:
    job = json.loads(request.body)["data"]
    return request.at - dt.datetime.fromisoformat(job["completed_at"]).timestamp()


def _never_answer(peer: socket.socket) -> None:
    """Read everything and never answer."""
    peer.settimeout(60)
    while peer.recv(65536):
        pass


def measure(jobs: int, rate: float) -> str:
    """Return a table of the figures."""
    alone: list[float] = []
    beside: list[float] = []
    with (
        running_service(**_ENVIRONMENT) as (system, _),
        receiving() as receiver,
        receiving() as healthy,
        raw(_never_answer) as dead_port,
        raw(dripping(b"HTTP/1.1 200 OK\r\nX-A: ")) as dripping_port,
    ):
        bench = Bench(system, receiver, jobs, rate)
        bench.waits_s(healthy.url)
        for _ in range(_ROUNDS):
            alone += bench.waits_s(healthy.url)
            beside += bench.waits_s(f"http://127.0.0.1:{dead_port}/")
            time.sleep(_REST_S)
        dripped_ms = bench.attempt_ms(f"http://127.0.0.1:{dripping_port}/", 60)
    return table(alone, beside, dripped_ms)


def quantile(values: list[float], share: float) -> float:
    """Return the smallest value that is not below this share of all."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def table(alone: list[float], beside: list[float], dripped_ms: int) -> str:
    """Return the figures in Markdown; waits in seconds."""
    rows = [f"| from a job's end to its message, {len(alone)} each | p50 | p99 | longest |"]
    rows += ["|---|---|---|---|"]
    for name, waits in (("all endpoints well", alone), ("one endpoint dead", beside)):
        figures = (statistics.median(waits), quantile(waits, 0.99), max(waits))
        rows.append(f"| {name}, ms | " + " | ".join(f"{1000 * one:.0f}" for one in figures) + " |")
    change = quantile(beside, 0.99) / quantile(alone, 0.99) - 1
    rows.append(f"\nThe dead endpoint changes the others' p99 by {100 * change:+.1f} %.")
    rows.append(
        f"An attempt at a receiver that drips ten bytes a second ends after {dripped_ms} ms."
    )
    return "\n".join(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100, help="sent to each endpoint in a round")
    parser.add_argument("--rate", type=float, default=6.0, help="of them a second")
    arguments = parser.parse_args()
    print(measure(arguments.jobs, arguments.rate))


if __name__ == "__main__":
    main()

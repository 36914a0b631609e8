"""Measures throughput and refusals when many times more jobs arrive than the workers can do.

`python -m bench.service.overload` starts a Redis, a gateway and a worker with the simulated engine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from typing import Any

from bench.service.setup import running_service
from tests.support.harness import QUICK

SLOTS = 4
#: A job of eight words takes about 2.25 s: four slots do not quite two a second.
ENGINE = {"SIGHTLINE_SIMULATED_IMAGE_S": "0", "SIGHTLINE_SIMULATED_TOKEN_S": "0.25"}
BODY = {"max_new_tokens": 8}
WARM_UP_S = 8.0


@dataclass
class Phase:
    """The results of one rate of arrivals."""

    name: str
    seconds: float = 0.0
    offered: int = 0
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    other: int = 0
    finished: float = 0.0


def quantile(values: list[float], share: float) -> float:
    """Return a quantile in milliseconds; 0 without values."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


async def exchange(port: int, body: bytes) -> bytes:
    """Post a job and return the head of the response.

    Without an HTTP library, which would cost more than the service.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


async def post(port: int, phase: Phase, number: int) -> None:
    body = json.dumps(BODY | {"prompt": f"{phase.name} {number}"}).encode()
    began = time.perf_counter()
    head = await exchange(port, body)
    took = time.perf_counter() - began
    match head.split(b" ", 2)[1]:
        case b"202":
            phase.accepted.append(took)
        case b"503":
            phase.refused.append(took)
            phase.without_retry_after += b"\r\nRetry-After: " not in head
        case _:
            phase.other += 1


async def arrivals(port: int, phase: Phase, rate: float, seconds: float) -> None:
    """Post at a steady rate, whether earlier posts are answered or not."""
    began, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(post(port, phase, number)))
    await asyncio.gather(*tasks)
    phase.offered = len(tasks)


def _succeeded(client: Any) -> int:
    return int(client.hget("sl:counters", "jobs.succeeded") or 0)


async def _measure(port: int, client: Any, phase: Phase, rate: float, seconds: float) -> Phase:
    """Count the jobs that finish while others arrive, once the queue has filled."""
    work = asyncio.create_task(arrivals(port, phase, rate, seconds + WARM_UP_S))
    await asyncio.sleep(WARM_UP_S)
    before, began = _succeeded(client), time.perf_counter()
    await asyncio.sleep(seconds)
    phase.finished = _succeeded(client) - before
    phase.seconds = time.perf_counter() - began
    await work
    return phase


async def run(port: int, client: Any, seconds: float, factors: list[float]) -> list[Phase]:
    """Return the phases: idle, peak (slightly above the capacity), and each factor."""
    await arrivals(port, Phase("warm up"), 2.0, 3.0)
    idle = Phase("idle")
    await arrivals(port, idle, 2.0, 20.0)
    rough = SLOTS / 2.25
    phases = [idle, await _measure(port, client, Phase("peak"), 1.3 * rough, seconds)]
    capacity = phases[1].finished / phases[1].seconds
    for factor in factors:
        name = f"{factor:g}x"
        phases.append(await _measure(port, client, Phase(name), factor * capacity, seconds))
    return phases


def table(phases: list[Phase]) -> str:
    """Return the figures as Markdown."""
    peak = phases[1].finished / phases[1].seconds
    heads = ("arrivals", "offered", "accepted", "refused", "without Retry-After", "other")
    figures = ("done/s", "of peak", "accept p50 / p99, ms", "refuse p50 / p99, ms")
    lines = ["| " + " | ".join(heads + figures) + " |", "|---" * 10 + "|"]
    for phase in phases:
        done = phase.finished / phase.seconds if phase.seconds else 0.0
        accept = f"{quantile(phase.accepted, 0.5):.0f} / {quantile(phase.accepted, 0.99):.0f}"
        refuse = f"{quantile(phase.refused, 0.5):.0f} / {quantile(phase.refused, 0.99):.0f}"
        lines.append(
            f"| {phase.name} | {phase.offered} | {len(phase.accepted)} | {len(phase.refused)} "
            f"| {phase.without_retry_after} | {phase.other} | {done:.2f} | {done / peak:.0%} "
            f"| {accept} | {refuse} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each rate")
    parser.add_argument("--factors", type=float, nargs="*", default=[5.0, 20.0])
    arguments = parser.parse_args()
    with running_service(**QUICK) as (system, redis):
        system.worker(SLOTS, **ENGINE)
        _, http = system.gateway(SIGHTLINE_QUEUE_MAX_WAIT_S="6")
        load = os.getloadavg()[0]
        phases = asyncio.run(
            run(http.base_url.port or 80, redis.client(), arguments.seconds, arguments.factors)
        )
    print(f"Load average at the start {load:.1f}, at the end {os.getloadavg()[0]:.1f}.\n")
    print(table(phases))


if __name__ == "__main__":
    main()

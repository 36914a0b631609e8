"""What the service itself costs and adds: by number of gateways and workers, and in Redis.

`python -m bench.service.capacity` starts everything with the simulated engine, whose answers take
a known time, so that what is beyond it is ours.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.service.fleet import Costs, Fleet, simulated
from bench.service.overload import Phase, post, quantile
from tests.support.harness import Process, RedisServer, System, running_redis, running_system

SLOTS = 4
TOKENS = 8
TOKEN_S = 0.055
#: A step for each word and about one before the first.
ENGINE_S = (TOKENS + 1) * TOKEN_S
ENGINE = {"SIGHTLINE_SIMULATED_IMAGE_S": "0", "SIGHTLINE_SIMULATED_TOKEN_S": str(TOKEN_S)}
UNLIMITED = {"SIGHTLINE_QUEUE_MAX_JOBS": "1000000", "SIGHTLINE_QUEUE_MAX_WAIT_S": "100000"}
#: Of what the workers can do.
LOAD = 0.8
WARM_UP_S = 4.0


@dataclass
class Measured:
    """One system under one rate of arrivals."""

    gateways: int
    workers: int
    rate: float
    seconds: float
    phase: Phase = field(default_factory=lambda: Phase("capacity"))
    #: Seconds of each job: until its start, and from there to its end.
    waits: list[float] = field(default_factory=list)
    works: list[float] = field(default_factory=list)
    #: Of the latter, what was not the engine's.
    beside: list[float] = field(default_factory=list)
    #: Milliseconds of a core for a job, by what used them.
    core_ms: dict[str, float] = field(default_factory=dict)
    commands: float = 0.0
    network_bytes: float = 0.0
    memory_bytes: float = 0.0
    idle_commands_s: float = 0.0
    idle_core_ms_s: float = 0.0

    @property
    def done_per_s(self) -> float:
        """Return how many of the jobs that came in the measured time ended, a second."""
        return len(self.works) / self.seconds


def _core_s(processes: list[Process | int]) -> float:
    total = 0.0
    for one in processes:
        whole = psutil.Process(one if isinstance(one, int) else one.pid)
        for process in (whole, *whole.children(recursive=True)):
            used = process.cpu_times()
            total += used.user + used.system
    return total


@dataclass
class _Look:
    """What Redis and the processes have used up so far."""

    at: float
    cores: dict[str, float]
    commands: int
    network: int
    memory: int

    @classmethod
    def take(cls, parts: dict[str, list[Process]], server: RedisServer) -> _Look:
        told = server.client().info("everything")
        cores = {name: _core_s(list(processes)) for name, processes in parts.items()}
        # told, and not read from the process: what its children write to disk is not its work
        cores["redis"] = told["used_cpu_user"] + told["used_cpu_sys"]
        return cls(
            time.perf_counter(),
            cores,
            told["total_commands_processed"],
            told["total_net_input_bytes"] + told["total_net_output_bytes"],
            told["used_memory"],
        )


async def _arrivals(ports: list[int], measured: Measured, seconds: float) -> None:
    """Post at random moments of this mean rate, whatever becomes of earlier posts."""
    dice, tasks = random.Random(1), []
    until, at = time.perf_counter() + seconds, time.perf_counter()
    while (at := at + dice.expovariate(measured.rate)) < until:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        tasks.append(asyncio.create_task(post(dice.choice(ports), measured.phase, len(tasks))))
    await asyncio.gather(*tasks)
    measured.phase.offered = len(tasks)


def _rows(client: Any, since_ms: float) -> list[tuple[float, float, float]]:
    """Return seconds of each job: until its start, to its end, and what of that was the engine."""
    ids = client.zrange("sl:jobs:anonymous", 0, -1)
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hmget(f"sl:job:{job_id}", "created_ms", "started_ms", "completed_ms", "metrics")
    rows = []
    for created, started, ended, told in pipe.execute():
        if int(created) >= since_ms:
            metrics = json.loads(told)
            engine_s = sum(metrics[f"{stage}_s"] for stage in ("encode", "prefill", "decode"))
            wait_ms, work_ms = int(started) - int(created), int(ended) - int(started)
            rows.append((wait_ms / 1000, work_ms / 1000, engine_s))
    return rows


def _now_ms(client: Any) -> float:
    seconds, micros = client.time()
    return float(seconds * 1000 + micros / 1000)


def measure(gateways: int, workers: int, seconds: float, share: float = LOAD) -> Measured:
    """Start so many, offer a share of what they can do, and return what was seen."""
    measured = Measured(gateways, workers, share * SLOTS / ENGINE_S * workers, seconds)
    with (
        tempfile.TemporaryDirectory() as name,
        running_redis(Path(name)) as redis,
        running_system(redis.url, Path(name), **ENGINE, **UNLIMITED) as system,
    ):
        _measure(system, redis, measured, seconds)
    return measured


def _measure(system: System, redis: RedisServer, measured: Measured, seconds: float) -> None:
    workers = [system.worker(SLOTS) for _ in range(measured.workers)]
    doors = [system.gateway() for _ in range(measured.gateways)]
    parts = {"gateway": [process for process, _ in doors], "worker": workers}
    ports = [http.base_url.port or 80 for _, http in doors]
    client = redis.client()
    time.sleep(3)
    resting = _Look.take(parts, redis)
    time.sleep(5)
    before = _Look.take(parts, redis)
    since_ms = _now_ms(client) + 1000 * WARM_UP_S
    asyncio.run(_arrivals(ports, measured, seconds + WARM_UP_S))
    _until_empty(client)
    _note(measured, resting, before, _Look.take(parts, redis))
    for wait_s, work_s, engine_s in _rows(client, since_ms):
        measured.waits.append(wait_s)
        measured.works.append(work_s)
        measured.beside.append(work_s - engine_s)


def _until_empty(client: Any) -> None:
    deadline = time.monotonic() + 120
    while client.zcard("sl:queued") or client.zcard("sl:leases"):
        if time.monotonic() > deadline:
            raise SystemExit("the queue does not become empty")
        time.sleep(0.1)


def _note(measured: Measured, resting: _Look, before: _Look, after: _Look) -> None:
    """Note what a job cost beyond what the same system uses at rest."""
    jobs = len(measured.phase.accepted)
    idle_s, busy_s = before.at - resting.at, after.at - before.at
    measured.idle_commands_s = (before.commands - resting.commands) / idle_s
    measured.idle_core_ms_s = 1000 * (before.cores["redis"] - resting.cores["redis"]) / idle_s
    for name in before.cores:
        idle = (before.cores[name] - resting.cores[name]) / idle_s
        used = after.cores[name] - before.cores[name] - idle * busy_s
        measured.core_ms[name] = 1000 * used / jobs
    used = after.commands - before.commands - measured.idle_commands_s * busy_s
    measured.commands = used / jobs
    idle_bytes = (before.network - resting.network) / idle_s
    measured.network_bytes = (after.network - before.network - idle_bytes * busy_s) / jobs
    measured.memory_bytes = (after.memory - before.memory) / jobs


HEADS = (
    *("gateways", "workers", "offered/s", "done/s", "accept p50 / p99, ms"),
    *("wait p50 / p95, ms", "simulated wait p50 / p95, ms", "beside the engine, ms"),
    "core-ms a job: gateway / worker / Redis",
)


def row(one: Measured) -> str:
    """Return a row of Markdown, with what the simulation of the same system says."""
    work_s = quantile(one.works, 0.5) / 1000
    costs = Costs(redis_ms_per_job=max(0.01, one.core_ms["redis"]), redis_ms_per_worker_s=0.0)
    seen = simulated(Fleet(one.workers, SLOTS, work_s, one.rate), costs, jobs=50_000)
    cells = [
        *(str(one.gateways), str(one.workers), f"{one.rate:.1f}", f"{one.done_per_s:.1f}"),
        f"{quantile(one.phase.accepted, 0.5):.0f} / {quantile(one.phase.accepted, 0.99):.0f}",
        f"{quantile(one.waits, 0.5):.0f} / {quantile(one.waits, 0.95):.0f}",
        f"{1000 * seen.wait_p50_s:.0f} / {1000 * seen.wait_p95_s:.0f}",
        f"{quantile(one.beside, 0.5):.0f}",
        " / ".join(f"{one.core_ms[name]:.1f}" for name in ("gateway", "worker", "redis")),
    ]
    return "| " + " | ".join(cells) + " |"


def told(one: Measured) -> str:
    """Return what Redis carried for a job and for a resting worker."""
    return (
        f"Redis, a job: {one.commands:.0f} commands, {one.network_bytes / 1024:.1f} KiB over the "
        f"network, {one.memory_bytes / 1024:.1f} KiB kept, {one.core_ms['redis']:.2f} core-ms.\n"
        f"Redis, at rest with {one.workers} workers and {one.gateways} gateways: "
        f"{one.idle_commands_s:.0f} commands/s, {one.idle_core_ms_s:.1f} core-ms/s."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each system")
    parser.add_argument("--sizes", nargs="*", default=["1x1", "1x2", "1x4", "2x4"])
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    sizes = [tuple(int(part) for part in size.split("x")) for size in asked.sizes]
    resting = measure(1, 1, asked.seconds, share=0.1)
    print(
        f"One job at a time: {quantile(resting.waits, 0.5):.0f} ms until its start, then "
        f"{quantile(resting.beside, 0.5):.0f} ms beside the engine's.\n"
    )
    seen = [measure(gateways, workers, asked.seconds) for gateways, workers in sizes]
    print("| " + " | ".join(HEADS) + " |\n" + "|---" * len(HEADS) + "|")
    print("\n".join(row(one) for one in seen))
    for one in (resting, *seen):
        print(f"\n{told(one)}")
    print(f"\nLoad average at the start {load:.1f}, at the end {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()

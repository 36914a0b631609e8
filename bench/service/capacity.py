"""Measures the service's own cost and latency, by number of gateways and workers, and in Redis.

`python -m bench.service.capacity` starts everything with the simulated engine, whose answers take
a known time; the rest is the service's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import time
from dataclasses import dataclass, field
from typing import Any

import psutil

from bench.service.fleet import Costs, Fleet, simulate
from bench.service.overload import Phase, post, quantile
from bench.service.setup import running_service
from tests.support.harness import Process, RedisServer, System

SLOTS = 4
TOKENS = 8
TOKEN_S = 0.055
#: A step for each word and about one before the first.
ENGINE_S = (TOKENS + 1) * TOKEN_S
ENGINE = {"SIGHTLINE_SIMULATED_IMAGE_S": "0", "SIGHTLINE_SIMULATED_TOKEN_S": str(TOKEN_S)}
UNLIMITED = {"SIGHTLINE_QUEUE_MAX_JOBS": "1000000", "SIGHTLINE_QUEUE_MAX_WAIT_S": "100000"}
#: Share of the workers' capacity.
LOAD = 0.8
WARM_UP_S = 4.0


@dataclass
class CapacityRun:
    """The measurements of one system under one rate of arrivals."""

    gateways: int
    workers: int
    rate: float
    seconds: float
    phase: Phase = field(default_factory=lambda: Phase("capacity"))
    #: Seconds of each job: until its start, and from there to its end.
    waits: list[float] = field(default_factory=list)
    works: list[float] = field(default_factory=list)
    #: The latter without the engine's seconds.
    beside: list[float] = field(default_factory=list)
    #: Core milliseconds a job, by process.
    core_ms: dict[str, float] = field(default_factory=dict)
    commands: float = 0.0
    network_bytes: float = 0.0
    memory_bytes: float = 0.0
    idle_commands_s: float = 0.0
    idle_core_ms_s: float = 0.0

    @property
    def done_per_s(self) -> float:
        """Return the jobs a second that ended, of those that arrived in the measured time."""
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
class ResourceUse:
    """What Redis and the processes have used so far."""

    at: float
    cores: dict[str, float]
    commands: int
    network: int
    memory: int

    @classmethod
    def read(cls, parts: dict[str, list[Process]], server: RedisServer) -> ResourceUse:
        """Read the use of `parts`, processes by name, and of a Redis server."""
        info = server.client().info("everything")
        cores = {name: _core_s(list(processes)) for name, processes in parts.items()}
        # from INFO and not from the process, whose children write to disk
        cores["redis"] = info["used_cpu_user"] + info["used_cpu_sys"]
        return cls(
            time.perf_counter(),
            cores,
            info["total_commands_processed"],
            info["total_net_input_bytes"] + info["total_net_output_bytes"],
            info["used_memory"],
        )


async def _arrivals(ports: list[int], run: CapacityRun, seconds: float) -> None:
    """Post at random moments at the run's mean rate, whether earlier posts are answered or not."""
    dice, tasks = random.Random(1), []
    until, at = time.perf_counter() + seconds, time.perf_counter()
    while (at := at + dice.expovariate(run.rate)) < until:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        tasks.append(asyncio.create_task(post(dice.choice(ports), run.phase, len(tasks))))
    await asyncio.gather(*tasks)
    run.phase.offered = len(tasks)


def _rows(client: Any, since_ms: float) -> list[tuple[float, float, float]]:
    """Return of each job the seconds until its start, from there to its end, and in the engine."""
    ids = client.zrange("sl:jobs:anonymous", 0, -1)
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hmget(f"sl:job:{job_id}", "created_ms", "started_ms", "completed_ms", "metrics")
    rows = []
    for created, started, ended, metrics_json in pipe.execute():
        if int(created) >= since_ms:
            metrics = json.loads(metrics_json)
            engine_s = sum(metrics[f"{stage}_s"] for stage in ("encode", "prefill", "decode"))
            wait_ms, work_ms = int(started) - int(created), int(ended) - int(started)
            rows.append((wait_ms / 1000, work_ms / 1000, engine_s))
    return rows


def _now_ms(client: Any) -> float:
    seconds, micros = client.time()
    return float(seconds * 1000 + micros / 1000)


def measure(gateways: int, workers: int, seconds: float, share: float = LOAD) -> CapacityRun:
    """Start so many, offer a share of their capacity, and return the measurements."""
    run = CapacityRun(gateways, workers, share * SLOTS / ENGINE_S * workers, seconds)
    with running_service(**ENGINE, **UNLIMITED) as (system, redis):
        _measure(system, redis, run, seconds)
    return run


def _measure(system: System, redis: RedisServer, run: CapacityRun, seconds: float) -> None:
    workers = [system.worker(SLOTS) for _ in range(run.workers)]
    gateways = [system.gateway() for _ in range(run.gateways)]
    parts = {"gateway": [process for process, _ in gateways], "worker": workers}
    ports = [http.base_url.port or 80 for _, http in gateways]
    client = redis.client()
    time.sleep(3)
    resting = ResourceUse.read(parts, redis)
    time.sleep(5)
    before = ResourceUse.read(parts, redis)
    since_ms = _now_ms(client) + 1000 * WARM_UP_S
    asyncio.run(_arrivals(ports, run, seconds + WARM_UP_S))
    _until_empty(client)
    _add_costs(run, resting, before, ResourceUse.read(parts, redis))
    for wait_s, work_s, engine_s in _rows(client, since_ms):
        run.waits.append(wait_s)
        run.works.append(work_s)
        run.beside.append(work_s - engine_s)


def _until_empty(client: Any) -> None:
    deadline = time.monotonic() + 120
    while client.zcard("sl:queued") or client.zcard("sl:leases"):
        if time.monotonic() > deadline:
            raise SystemExit("the queue does not become empty")
        time.sleep(0.1)


def _add_costs(
    run: CapacityRun, resting: ResourceUse, before: ResourceUse, after: ResourceUse
) -> None:
    """Store what a job cost beyond what the idle system uses."""
    jobs = len(run.phase.accepted)
    idle_s, busy_s = before.at - resting.at, after.at - before.at
    run.idle_commands_s = (before.commands - resting.commands) / idle_s
    run.idle_core_ms_s = 1000 * (before.cores["redis"] - resting.cores["redis"]) / idle_s
    for name in before.cores:
        idle = (before.cores[name] - resting.cores[name]) / idle_s
        used = after.cores[name] - before.cores[name] - idle * busy_s
        run.core_ms[name] = 1000 * used / jobs
    used = after.commands - before.commands - run.idle_commands_s * busy_s
    run.commands = used / jobs
    idle_bytes = (before.network - resting.network) / idle_s
    run.network_bytes = (after.network - before.network - idle_bytes * busy_s) / jobs
    run.memory_bytes = (after.memory - before.memory) / jobs


HEADS = (
    *("gateways", "workers", "offered/s", "done/s", "accept p50 / p99, ms"),
    *("wait p50 / p95, ms", "simulated wait p50 / p95, ms", "beside the engine, ms"),
    "core-ms a job: gateway / worker / Redis",
)


def row(one: CapacityRun) -> str:
    """Return a row of Markdown, beside the simulation of the same system."""
    work_s = quantile(one.works, 0.5) / 1000
    costs = Costs(redis_ms_per_job=max(0.01, one.core_ms["redis"]), redis_ms_per_worker_s=0.0)
    simulation = simulate(Fleet(one.workers, SLOTS, work_s, one.rate), costs, jobs=50_000)
    cells = [
        *(str(one.gateways), str(one.workers), f"{one.rate:.1f}", f"{one.done_per_s:.1f}"),
        f"{quantile(one.phase.accepted, 0.5):.0f} / {quantile(one.phase.accepted, 0.99):.0f}",
        f"{quantile(one.waits, 0.5):.0f} / {quantile(one.waits, 0.95):.0f}",
        f"{1000 * simulation.wait_p50_s:.0f} / {1000 * simulation.wait_p95_s:.0f}",
        f"{quantile(one.beside, 0.5):.0f}",
        " / ".join(f"{one.core_ms[name]:.1f}" for name in ("gateway", "worker", "redis")),
    ]
    return "| " + " | ".join(cells) + " |"


def describe_redis_use(one: CapacityRun) -> str:
    """Return what Redis does for a job and for an idle system."""
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
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    sizes = [tuple(int(part) for part in size.split("x")) for size in arguments.sizes]
    resting = measure(1, 1, arguments.seconds, share=0.1)
    print(
        f"One job at a time: {quantile(resting.waits, 0.5):.0f} ms until its start, then "
        f"{quantile(resting.beside, 0.5):.0f} ms beside the engine's.\n"
    )
    runs = [measure(gateways, workers, arguments.seconds) for gateways, workers in sizes]
    print("| " + " | ".join(HEADS) + " |\n" + "|---" * len(HEADS) + "|")
    print("\n".join(row(one) for one in runs))
    for one in (resting, *runs):
        print(f"\n{describe_redis_use(one)}")
    print(f"\nLoad average at the start {load:.1f}, at the end {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()

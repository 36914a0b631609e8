"""Simulates a fleet: jobs that queue for workers, and the one Redis that all of them need.

`python -m bench.service.fleet` prints fleets of up to thousands of workers, from what
`bench.service.capacity` measured on a small one; that bench compares this simulation with the
measured system.
"""

from __future__ import annotations

import argparse
import heapq
import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """What a job and an idle worker use of one core of Redis and of the gateways."""

    redis_ms_per_job: float = 2.8
    redis_ms_per_worker_s: float = 0.9
    gateway_ms_per_job: float = 5.5


@dataclass(frozen=True)
class Fleet:
    """Workers with so many slots each, jobs that take so long in a slot, arrivals a second."""

    workers: int
    slots: int
    work_s: float
    rate: float

    @property
    def capacity(self) -> float:
        """Return the jobs a second that all slots together can do."""
        return self.workers * self.slots / self.work_s


@dataclass(frozen=True)
class SimulatedQueue:
    """How long jobs wait for a slot, and the busy share of Redis' core."""

    wait_p50_s: float
    wait_p95_s: float
    redis_busy: float


def redis_busy(fleet: Fleet, costs: Costs) -> float:
    """Return the busy share of Redis' core; from 1 on the fleet is too large."""
    idle_ms = fleet.workers * costs.redis_ms_per_worker_s
    return (fleet.rate * costs.redis_ms_per_job + idle_ms) / 1000


def simulate(fleet: Fleet, costs: Costs, *, jobs: int = 100_000, seed: int = 1) -> SimulatedQueue:
    """Simulate jobs that arrive at random and take the first free slot in order of arrival."""
    dice = random.Random(seed)
    busy = redis_busy(fleet, costs)
    if busy >= 1:
        return SimulatedQueue(float("inf"), float("inf"), busy)
    # the other commands make Redis slower for each one
    redis_s = costs.redis_ms_per_job / 1000 / (1 - busy)
    free = [0.0] * (fleet.workers * fleet.slots)
    arrives, redis_free, waits = 0.0, 0.0, []
    for _ in range(jobs):
        arrives += dice.expovariate(fleet.rate)
        redis_free = max(arrives, redis_free) + redis_s
        starts = max(redis_free, free[0])
        heapq.heapreplace(free, starts + fleet.work_s)
        waits.append(starts - arrives)
    # without the first jobs, which find an empty queue
    late = sorted(waits[jobs // 5 :])
    return SimulatedQueue(late[len(late) // 2], late[int(0.95 * len(late))], busy)


def largest_fleet(fleet: Fleet, costs: Costs, load: float, busy: float = 0.6) -> int:
    """Return the number of such workers that keep one Redis busy to this share."""
    per_worker = load * fleet.slots / fleet.work_s
    each_ms = per_worker * costs.redis_ms_per_job + costs.redis_ms_per_worker_s
    return int(1000 * busy / each_ms)


def table(sizes: list[int], images_per_minute: float, slots: int, load: float, costs: Costs) -> str:
    """Return a table of fleets whose workers do so many images a minute each."""
    lines = [
        "| workers | images/s | wait p50 / p95, s | cores of gateways | Redis busy |",
        "|---:|---:|---:|---:|---:|",
    ]
    work_s = 60 * slots / images_per_minute
    for size in sizes:
        fleet = Fleet(size, slots, work_s, load * size * images_per_minute / 60)
        simulation = simulate(fleet, costs, jobs=max(50_000, 40 * size * slots))
        waits = f"{simulation.wait_p50_s:.2f} / {simulation.wait_p95_s:.2f}"
        gateway_cores = fleet.rate * costs.gateway_ms_per_job / 1000
        lines.append(
            f"| {size} | {fleet.rate:.1f} | {waits if simulation.redis_busy < 1 else 'grows'} "
            f"| {gateway_cores:.2f} | {simulation.redis_busy:.1%} |"
        )
    return "\n".join(lines)


def cost_table(cores: int, rates: dict[str, float], price: float) -> str:
    """Return a table of the cost of 1,000 images if a core costs `price` an hour."""
    lines = [
        "| worker | images/min | core-hours for 1,000 images | at this price |",
        "|---|---:|---:|---:|",
    ]
    for name, per_minute in rates.items():
        hours = cores * 1000 / per_minute / 60
        lines.append(f"| {name} | {per_minute:g} | {hours:.1f} | {hours * price:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images-per-minute", type=float, default=14.9, help="of one worker")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--load", type=float, default=0.8, help="of what the fleet can do")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 2, 5, 10, 50, 200, 400, 1000])
    parser.add_argument("--price", type=float, default=0.04, help="of a core for an hour")
    parser.add_argument("--cores", type=int, default=2, help="of one worker")
    arguments = parser.parse_args()
    costs = Costs()
    print(
        table(arguments.sizes, arguments.images_per_minute, arguments.slots, arguments.load, costs)
    )
    fleet = Fleet(1, arguments.slots, 60 * arguments.slots / arguments.images_per_minute, 1.0)
    print(f"\nOne Redis is 60 % busy at {largest_fleet(fleet, costs, arguments.load)} workers.\n")
    rates = {"2B int8": arguments.images_per_minute, "2B bf16": 8.56, "transformers": 4.16}
    print(cost_table(arguments.cores, rates, arguments.price))


if __name__ == "__main__":
    main()

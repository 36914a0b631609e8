"""Kills, freezes and restarts parts of a running system, and checks what became of its jobs.

`python -m tests.chaos.monkey --jobs 1000` runs the long form and prints its account.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from shared.errors import StoreUnavailable
from shared.events import EventReader
from shared.jobs import JobStatus
from shared.settings import Settings
from shared.store import Store
from tests.chaos.faults import Account, Monkey, Team, redis_killer, submit, told
from tests.harness import QUICK, RedisServer, System, running_redis, running_system

_TENANT = "anonymous"
#: Enough starts that even the unluckiest job is never taken for poison.
_PATIENT = {"SIGHTLINE_MAX_ATTEMPTS": "20", "SIGHTLINE_SIMULATED_TOKEN_S": "0.06"}


def run(
    folder: Path, *, jobs: int, workers: int = 2, seed: int = 1, patience_s: float = 60
) -> Account:
    """Submit jobs while a monkey is loose, let them all end, and return the account."""
    account = Account(jobs)
    began = time.monotonic()
    with (
        running_redis(folder) as redis,
        running_system(redis.url, folder, **QUICK | _PATIENT) as system,
    ):
        _, client = system.gateway()
        store = Store(Settings(redis_url=redis.url))
        monkey = _monkey(redis, system, workers, seed, max(14, jobs // 4))
        monkey.start()
        dice = random.Random(seed)
        ids = []
        for number in range(jobs):
            time.sleep(dice.uniform(0, 0.3))
            body = {"prompt": f"question {number}", "max_new_tokens": 64}
            ids.append(submit(client, body, f"k{number}"))
        ends = _watch(store, ids, account, patience_s, monkey)
        monkey.stop()
        _check(store, ids, ends, account)
        account.faults = monkey.faults
        store.redis.close()
    account.seconds = time.monotonic() - began
    return account


def _monkey(redis: RedisServer, system: System, workers: int, seed: int, most: int) -> Monkey:
    """Return a monkey of at most so many faults: a slow machine gets its work done in the end."""
    dice = random.Random(seed + 1)
    team = Team(workers, lambda wait: system.worker(slots=3, wait=wait), dice)

    def freeze() -> None:
        worker = team.any()
        worker.signal(signal.SIGSTOP)
        # longer than a lease: it wakes as a worker whose jobs others have
        time.sleep(3.0)
        worker.signal(signal.SIGCONT)

    deck = [("kill_worker", team.kill)] * 3
    deck += [("freeze_worker", freeze)]
    deck += [("terminate_worker", lambda: team.signal_one(signal.SIGTERM))]
    deck += [("kill_redis", redis_killer(redis, dice, (0.2, 1.5)))] * 2
    return Monkey(deck, seed=seed, pause_s=(0.8, 2.0), most=most)


def _watch(
    store: Store, ids: list[str], account: Account, patience_s: float, monkey: Monkey
) -> dict[str, JobStatus]:
    """Follow all jobs to their ends; note every end that changes afterwards.

    Give up when none has ended for `patience_s`.
    """
    ends: dict[str, JobStatus] = {}
    calm = len(ids) * 2 // 3
    moved = time.monotonic()
    while len(ends) < len(ids) and time.monotonic() - moved < patience_s:
        before = len(ends)
        for job_id in ids:
            with contextlib.suppress(StoreUnavailable):
                status = store.get(job_id, _TENANT).status
                if job_id in ends and status is not ends[job_id]:
                    account.violations.append(f"{job_id}: {ends[job_id]} became {status}")
                elif status.terminal:
                    ends[job_id] = status
        if len(ends) > before:
            moved = time.monotonic()
        if len(ends) >= calm and monkey.is_alive():
            # the last third ends in peace, or a run could go on for ever
            monkey.stop()
        time.sleep(0.3)
    return ends


def _check(store: Store, ids: list[str], ends: dict[str, JobStatus], account: Account) -> None:
    events = EventReader(store.redis, 1.0)
    if len(set(ids)) != len(ids):
        account.violations.append("two submissions share a job")
    for job_id in ids:
        row = store.get(job_id, _TENANT)
        account.ends[row.status.value] += 1
        account.repeated += max(0, row.attempt - 1)
        stream = events.read(job_id, 0)
        terminal = [event.type for event in stream if event.terminal]
        if job_id not in ends:
            account.violations.append(f"{job_id}: stuck in {row.status}")
        elif row.status is not ends[job_id] or row.commits != 1:
            account.violations.append(f"{job_id}: {row.status} with {row.commits} commits")
        elif terminal != [f"job.{row.status.value}"] or not stream[-1].terminal:
            account.violations.append(f"{job_id}: events end in {terminal}")
        elif row.status is not JobStatus.SUCCEEDED:
            account.violations.append(f"{job_id}: {row.status} {row.error}")


def main() -> int:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        account = run(
            Path(folder),
            jobs=asked.jobs,
            workers=asked.workers,
            seed=asked.seed,
        )
    print(f"seed {asked.seed}")
    return told(account)


if __name__ == "__main__":
    sys.exit(main())

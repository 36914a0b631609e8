"""Kills, freezes and restarts parts of a running system, and checks what became of its jobs.

`python -m tests.chaos.monkey --jobs 1000` runs the long form and prints its account.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from shared.errors import StoreUnavailable
from shared.events import EventReader
from shared.jobs import JobStatus
from shared.settings import Settings
from shared.store import Store
from tests.harness import QUICK, Process, RedisServer, System, running_redis, running_system

_TENANT = "anonymous"
#: Enough starts that even the unluckiest job is never taken for poison.
_PATIENT = {"SIGHTLINE_MAX_ATTEMPTS": "20", "SIGHTLINE_SIMULATED_TOKEN_S": "0.06"}


@dataclasses.dataclass
class Account:
    """What a run did and what became of the jobs."""

    jobs: int
    seconds: float = 0.0
    faults: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    statuses: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    #: Starts beyond the first of each job: work that was done again.
    repeated_starts: int = 0
    #: What must never be: each a sentence with a job id.
    violations: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.jobs} jobs in {self.seconds:.0f} s, faults {dict(self.faults)}, "
            f"ends {dict(self.statuses)}, starts repeated {self.repeated_starts}, "
            f"violations {len(self.violations)}"
        )


class Monkey(threading.Thread):
    """Commits one fault after another until it is stopped; every fault is mended."""

    def __init__(
        self, redis: RedisServer, system: System, *, workers: int, seed: int, faults: int
    ) -> None:
        """Commit at most `faults`, so that a slow machine gets its work done in the end."""
        super().__init__(daemon=True)
        self._most = faults
        self._redis = redis
        self._system = system
        self._random = random.Random(seed)
        self._workers = [self._new_worker(wait=True) for _ in range(workers)]
        self._stopped = threading.Event()
        self.faults: collections.Counter[str] = collections.Counter()
        self.failure: BaseException | None = None

    def _new_worker(self, *, wait: bool = False) -> Process:
        return self._system.worker(slots=3, wait=wait)

    def stop(self) -> None:
        self._stopped.set()
        self.join()
        if self.failure:
            raise self.failure

    def run(self) -> None:
        deck: list[Callable[[], None]] = []
        try:
            while not self._stopped.wait(self._random.uniform(0.8, 2.0)):
                if sum(self.faults.values()) >= self._most:
                    return
                deck = deck or self._shuffled()
                fault = deck.pop()
                self.faults[fault.__name__.strip("_")] += 1
                fault()
        except BaseException as error:  # noqa: BLE001
            # raised again where the run is stopped
            self.failure = error

    def _shuffled(self) -> list[Callable[[], None]]:
        """Return a round of faults in random order, so that every kind comes in every round."""
        deck = [self._kill_worker] * 3 + [self._freeze_worker, self._terminate_worker]
        deck += [self._kill_redis] * 2
        self._random.shuffle(deck)
        return deck

    def _pick(self) -> int:
        return self._random.randrange(len(self._workers))

    def _kill_worker(self) -> None:
        index = self._pick()
        self._workers[index].kill()
        self._workers[index] = self._new_worker()

    def _terminate_worker(self) -> None:
        index = self._pick()
        self._workers[index].signal(signal.SIGTERM)
        self._workers[index] = self._new_worker()

    def _freeze_worker(self) -> None:
        worker = self._workers[self._pick()]
        worker.signal(signal.SIGSTOP)
        # longer than a lease: it wakes as a worker whose jobs others have
        self._stopped.wait(3.0)
        worker.signal(signal.SIGCONT)

    def _kill_redis(self) -> None:
        self._redis.kill()
        time.sleep(self._random.uniform(0.2, 1.5))
        self._redis.start()


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
        monkey = Monkey(redis, system, workers=workers, seed=seed, faults=max(14, jobs // 4))
        monkey.start()
        ids = [
            _submit(client, number, random.Random(seed * 7919 + number)) for number in range(jobs)
        ]
        ends = _watch(store, ids, account, patience_s, monkey)
        monkey.stop()
        _check(store, ids, ends, account)
        account.faults = monkey.faults
        store.redis.close()
    account.seconds = time.monotonic() - began
    return account


def _submit(client: httpx.Client, number: int, dice: random.Random) -> str:
    """Submit as a careful client does: again, with the same key, until the answer is known."""
    time.sleep(dice.uniform(0, 0.3))
    body = {"prompt": f"question {number}", "max_new_tokens": 64}
    for _ in range(200):
        with contextlib.suppress(httpx.TransportError):
            answer = client.post("/v1/jobs", json=body, headers={"Idempotency-Key": f"k{number}"})
            if answer.status_code == 202:
                return str(answer.json()["id"])
            if answer.status_code != 503:
                raise AssertionError(f"{answer.status_code}: {answer.text}")
        time.sleep(0.2)
    raise AssertionError("no submission was accepted for 40 s")


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
        account.statuses[row.status.value] += 1
        account.repeated_starts += max(0, row.attempt - 1)
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
    print(f"seed {asked.seed}: {account}")
    for violation in account.violations:
        print(violation)
    return 1 if account.violations else 0


if __name__ == "__main__":
    sys.exit(main())

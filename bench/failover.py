"""Measures what a failover of Redis loses of the jobs that were accepted, and what WAIT costs.

`python -m bench.failover [OTHER/redis-server]` runs a master, two replicas and three sentinels,
configured as deploy/ advises. Four threads store jobs as a gateway does. The master is killed, or
cut off from all but these threads; later it comes back as a replica.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from shared.errors import StoreUnavailable
from shared.jobs import JobInput
from shared.settings import Settings
from shared.store import NewJob, Store, keys
from tests.support.harness import eventually
from tests.support.servers.sentinels import ReplicatedRedis, running_sentinels

THREADS, BEFORE_S, AFTER_S = 4, 2.0, 2.0
_PAUSE_S = 0.005
#: How the master fails, and whether it refuses writes while it has no replicas.
CASES = (("killed", True), ("cut off", True), ("cut off", False))


@dataclass
class Outcome:
    """What the threads saw."""

    #: Ids of accepted jobs, with the moment and the milliseconds of each.
    accepted: list[tuple[str, float, float]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    stopped: threading.Event = field(default_factory=threading.Event)

    def store_jobs(self, store: Store) -> None:
        """Store one job after another; a refused one is sent again under its id."""
        job = NewJob("t", JobInput(prompt="?"))
        while not self.stopped.is_set():
            began = time.monotonic()
            try:
                store.add(job)
            except StoreUnavailable as error:
                self.refused[error.code] += 1
                time.sleep(0.05)
                continue
            now = time.monotonic()
            self.accepted.append((job.id, now, 1000 * (now - began)))
            # sentinels that get no processor stop judging
            time.sleep(_PAUSE_S)
            job = NewJob("t", JobInput(prompt="?"))


def measure(service: ReplicatedRedis, how: str, wait: int) -> str:
    """Return a line on one failover."""
    store = Store(Settings(redis_url=service.url, redis_wait=wait, redis_timeout_s=2))
    outcome = Outcome()
    threads = [threading.Thread(target=outcome.store_jobs, args=(store,)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    time.sleep(BEFORE_S)
    old, failed_at = service.master(), time.monotonic()
    if how == "killed":
        old.kill()
    else:
        service.cut_off(old)
    new, switched_at = service.await_failover(old), time.monotonic()
    eventually(lambda: outcome.accepted[-1][1] > switched_at)
    time.sleep(AFTER_S)
    outcome.stopped.set()
    for thread in threads:
        thread.join()
    if how == "killed":
        old.start()
        service.await_rejoined(old)
    else:
        service.rejoin(old)
    return _describe(outcome, failed_at, set(new.client().zrange(keys.QUEUED, 0, -1)))


def _describe(outcome: Outcome, failed_at: float, kept: set[str]) -> str:
    ids = {job_id for job_id, _, _ in outcome.accepted}
    spent = [ms for _, at, ms in outcome.accepted if at < failed_at]
    moments = sorted(at for _, at, _ in outcome.accepted)
    gap_s = max(later - earlier for earlier, later in pairwise(moments))
    return (
        f"accepted {len(ids):6}, lost {len(ids - kept):5}, "
        f"median {statistics.median(spent):.2f} ms, "
        f"none accepted for {gap_s:.1f} s, refused {dict(outcome.refused)}"
    )


def main() -> None:
    """Print a line for each way to fail, without and with WAIT."""
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description=__doc__)
    parser.add_argument("program", nargs="?", type=Path, help="another redis-server")
    program = parser.parse_args().program
    if program:
        os.environ["PATH"] = f"{program.resolve().parent}{os.pathsep}{os.environ['PATH']}"
    for how, guarded in CASES:
        for wait in (0, 1):
            name = f"{how}, {'with' if guarded else 'without'} min-replicas-to-write, WAIT {wait}"
            with (
                tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
                running_sentinels(Path(folder), guarded=guarded) as service,
            ):
                print(f"{name}: {measure(service, how, wait)}", flush=True)


if __name__ == "__main__":
    main()

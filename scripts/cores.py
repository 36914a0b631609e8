"""Decides which cores the model computes on, and starts a command that keeps to them.

`python -m scripts.cores celery -A worker.app worker …`: OpenMP reads its variables once, when
torch is loaded, so they must stand in the environment before the process starts.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

CPU_TOPOLOGY = Path("/sys/devices/system/cpu")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def physical(cpus: Iterable[int], topology: Path = CPU_TOPOLOGY) -> int:
    """Count the physical cores behind these logical CPUs; two hyperthreads count once."""
    cores = set()
    for cpu in cpus:
        siblings = topology / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        try:
            cores.add(siblings.read_text().strip())
        except OSError:
            cores.add(str(cpu))
    return len(cores)


def quota(path: Path = CPU_QUOTA) -> float:
    """Return the CPUs that the container may use at once; infinity without a limit."""
    try:
        allowed, period = path.read_text().split()
        return int(allowed) / int(period)
    except (OSError, ValueError):
        return math.inf


def owned() -> int:
    """Return how many cores this process may compute on."""
    if hasattr(os, "sched_getaffinity"):
        cores = physical(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min(cores, math.floor(min(quota(), 1e6))))


def environment(environ: Mapping[str, str], cores: int) -> dict[str, str]:
    """Return the variables that keep the model's arithmetic on `cores` cores or fewer.

    What the caller has set stays as it is. Threads are counted and not bound (OMP_PROC_BIND): the
    thread that is bound takes those it starts with it, and where other programs run as well, a
    bound thread waits while another core is idle. Bound answers took twice as long.
    """
    threads = str(int(environ.get("SIGHTLINE_THREADS") or cores))
    wanted = {
        "SIGHTLINE_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {name: environ.get(name) or value for name, value in wanted.items()}


def main() -> None:
    """Replace this process by the command on the command line."""
    command = sys.argv[1:]
    if not command:
        sys.exit("usage: python -m scripts.cores COMMAND …")
    try:
        os.environ.update(environment(os.environ, owned()))
        os.execvp(command[0], command)
    except (OSError, ValueError) as error:
        sys.exit(f"cores: {command[0]}: {error}")


if __name__ == "__main__":
    main()

"""Decides how many cores the model computes on, and starts a command with that many threads.

`python -m scripts.cores celery -A worker.app worker …`: OpenMP reads its variables once, when
torch is loaded, so they must be set before the process starts.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

CPU_TOPOLOGY = Path("/sys/devices/system/cpu")
CGROUPS = Path("/sys/fs/cgroup")
#: The groups of this process, a line for each hierarchy.
OWN_CGROUPS = Path("/proc/self/cgroup")


def count_physical(cpus: Iterable[int], topology: Path = CPU_TOPOLOGY) -> int:
    """Count the physical cores behind these logical CPUs; two hyperthreads count once."""
    cores = set()
    for cpu in cpus:
        siblings = topology / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        try:
            cores.add(siblings.read_text().strip())
        except OSError:
            cores.add(str(cpu))
    return len(cores)


def quota(root: Path = CGROUPS, own: Path = OWN_CGROUPS) -> float:
    """Return the CPUs that this process may use at once; infinity without a limit.

    A limit may stand at any level above the process: the smallest one counts. A container sees its
    own group as the root. `root` has the tree of cgroup v2, or a folder for each controller of v1.
    """
    return min((_limit(folder) for folder in _groups(root, own)), default=math.inf)


def _groups(root: Path, own: Path) -> Iterator[Path]:
    """Yield each group that may limit this process, from its own up to the root."""
    yield from (root, root / "cpu", root / "cpu,cpuacct")
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = PurePosixPath(path.lstrip("/"))
        for level in (group, *group.parents):
            yield root / controllers / level


def _limit(folder: Path) -> float:
    """Return the CPUs that one group allows; infinity without a limit."""
    try:
        if (v2 := folder / "cpu.max").exists():
            allowed, period = v2.read_text().split()
        else:
            allowed = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        # "max" in v2 and -1 in v1 are no limit
        return int(allowed) / int(period) if int(allowed) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def owned() -> int:
    """Return the number of physical cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        cores = count_physical(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min(cores, math.floor(min(quota(), 1e6))))


def environment(environ: Mapping[str, str], cores: int) -> dict[str, str]:
    """Return the variables that keep the model's arithmetic on `cores` cores or fewer.

    Variables that are set stay as they are. Threads are not bound to cores (OMP_PROC_BIND): a bound
    thread binds the threads that it starts, and beside other programs it waits although another
    core is idle. Answers took twice as long with it.
    """
    threads = str(int(environ.get("SIGHTLINE_THREADS") or cores))
    variables = {
        "SIGHTLINE_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {name: environ.get(name) or value for name, value in variables.items()}


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

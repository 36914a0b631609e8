"""The cores of the machine, or of the container, that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
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

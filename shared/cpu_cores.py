"""The cores of the machine, or of the container, that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

CPU_TOPOLOGY = Path("/sys/devices/system/cpu")
MEMORY_NODES = Path("/sys/devices/system/node")
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


def memory_domains(cpus: Iterable[int], nodes: Path = MEMORY_NODES) -> list[list[int]]:
    """Return these logical CPUs by the memory that is near to them, a list for each domain.

    One list where the system does not tell: machines with one domain, and other systems.
    """
    mine = set(cpus)
    lists = (_read_list(node / "cpulist") & mine for node in sorted(nodes.glob("node[0-9]*")))
    domains = sorted(sorted(domain) for domain in lists if domain)
    return domains if set().union(*domains) == mine else [sorted(mine)]


def _read_list(file: Path) -> set[int]:
    """Read a list of CPUs as the kernel writes it, such as 0-3,8."""
    try:
        parts = [part.partition("-") for part in file.read_text().strip().split(",") if part]
        return {
            cpu for first, _, last in parts for cpu in range(int(first), int(last or first) + 1)
        }
    except (OSError, ValueError):
        return set()


def write_list(cpus: Iterable[int]) -> str:
    """Return a list of CPUs as the kernel and taskset write it."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1][1:] = [cpu]
        else:
            runs.append([cpu])
    return ",".join("-".join(map(str, run)) for run in runs)


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
    return max(1, min(count_physical(allowed()), math.floor(min(quota(), 1e6))))


def allowed() -> set[int]:
    """Return the logical CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))

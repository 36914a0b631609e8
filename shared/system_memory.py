"""The memory of the machine, or of the container, from /proc and control groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")
#: Of control groups version 2 and 1: files of limit and use, and the prefix of the cache's lines in
#: memory.stat.
_VERSIONS = (
    ("memory.max", "memory.current", ""),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
)


def total_bytes(proc: Path = _PROC, groups: Path = _GROUPS) -> int | None:
    """Return the bytes of the machine or of the tightest container; None if unknown."""
    limits = [limit for limit, _ in _limits(proc, groups)]
    return min([*limits, *_machine(proc, "MemTotal")], default=None)


def available_bytes(proc: Path = _PROC, groups: Path = _GROUPS) -> int | None:
    """Return the bytes still available, with what caches can release; None if unknown."""
    free = [max(0, limit - used) for limit, used in _limits(proc, groups)]
    return min([*free, *_machine(proc, "MemAvailable")], default=None)


def process_bytes(proc: Path = _PROC) -> int | None:
    """Return the bytes of this process that are in memory; None if unknown."""
    for line in _lines(proc / "self/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return None


def _machine(proc: Path, name: str) -> Iterator[int]:
    for line in _lines(proc / "meminfo"):
        if line.startswith(f"{name}:"):
            yield int(line.split()[1]) * 1024


def _limits(proc: Path, groups: Path) -> Iterator[tuple[int, int]]:
    """Yield limit and use, bytes, of every control group of this process that has a limit."""
    for line in _lines(proc / "self/cgroup"):
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root = groups
        elif "memory" in controllers.split(","):
            root = groups / "memory"
        else:
            continue
        own = root / path.lstrip("/")
        # inside a container its own group may be the root, while the path is that of the host
        for folder in dict.fromkeys([own, *own.parents, root]):
            if folder == root or root in folder.parents:
                yield from _limit(folder)


def _limit(folder: Path) -> Iterator[tuple[int, int]]:
    for limit, use, prefix in _VERSIONS:
        caches = (f"{prefix}inactive_file ", f"{prefix}active_file ")
        maximum = "".join(_lines(folder / limit))
        used = "".join(_lines(folder / use))
        if maximum.isdigit() and used.isdigit():
            cached = [
                int(line.split()[1])
                for line in _lines(folder / "memory.stat")
                if line.startswith(caches)
            ]
            yield int(maximum), int(used) - sum(cached)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("ascii", "replace").splitlines()
    except OSError:
        return []

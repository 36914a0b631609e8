"""How much memory this process may take: the machine's, or less in a container."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")
#: Of a control group, version 2 and version 1: limit, use, and what its lists of pages that any
#: need takes from caches are called.
_VERSIONS = (
    ("memory.max", "memory.current", ""),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
)


def owned_bytes(proc: Path = _PROC, groups: Path = _GROUPS) -> int | None:
    """Return the memory of the machine or of the tightest container; None where nobody tells."""
    limits = [limit for limit, _ in _limits(proc, groups)]
    return min([*limits, *_machine(proc, "MemTotal")], default=None)


def available_bytes(proc: Path = _PROC, groups: Path = _GROUPS) -> int | None:
    """Return what can still be taken of it, caches given up; None where nobody tells."""
    left = [max(0, limit - used) for limit, used in _limits(proc, groups)]
    return min([*left, *_machine(proc, "MemAvailable")], default=None)


def _machine(proc: Path, name: str) -> Iterator[int]:
    for line in _lines(proc / "meminfo"):
        if line.startswith(f"{name}:"):
            yield int(line.split()[1]) * 1024


def _limits(proc: Path, groups: Path) -> Iterator[tuple[int, int]]:
    """Yield limit and use of every control group around this process that has a limit."""
    for line in _lines(proc / "self/cgroup"):
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root = groups
        elif "memory" in controllers.split(","):
            root = groups / "memory"
        else:
            continue
        own = root / path.lstrip("/")
        # a container may see its own group at the root, under the path that it has outside
        for folder in dict.fromkeys([own, *own.parents, root]):
            if folder == root or root in folder.parents:
                yield from _limit(folder)


def _limit(folder: Path) -> Iterator[tuple[int, int]]:
    for limit, use, prefix in _VERSIONS:
        caches = (f"{prefix}inactive_file ", f"{prefix}active_file ")
        most = "".join(_lines(folder / limit))
        used = "".join(_lines(folder / use))
        if most.isdigit() and used.isdigit():
            given_up = [
                int(line.split()[1])
                for line in _lines(folder / "memory.stat")
                if line.startswith(caches)
            ]
            yield int(most), int(used) - sum(given_up)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("ascii", "replace").splitlines()
    except OSError:
        return []

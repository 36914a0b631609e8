"""Measures processes, Redis and the machine during a soak run, and decides what has grown."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

_MIB = 1 << 20
#: Name of the figure for how slow the machine itself is at the moment.
YARDSTICK = "a fixed piece of work takes, ms"


@dataclass(frozen=True)
class Bound:
    """How much a figure may grow: by a share of its value, and an amount beyond."""

    share: float
    beyond: float

    def exceeded(self, early: float, late: float) -> bool:
        """Tell whether a figure grew beyond the bound."""
        return late > early * (1 + self.share) + self.beyond


#: By unit, the last word of a figure's name.
BOUNDS = {
    "MiB": Bound(0.04, 6.0),
    # open requests hold some, and there are more of them while the machine is slow
    "files": Bound(0.5, 12.0),
    "keys": Bound(0.10, 60.0),
    "entries": Bound(0.10, 100.0),
    "ms": Bound(1.0, 50.0),
}


@dataclass
class Readings:
    """Figures by name, each a series over time."""

    series: dict[str, list[float]] = field(
        default_factory=lambda: collections.defaultdict(list[float])
    )

    def add(self, figures: Mapping[str, float]) -> None:
        """Append one value to each series."""
        for name, value in figures.items():
            self.series[name].append(value)

    def quarters(self) -> dict[str, tuple[float, float]]:
        """Return for each figure the medians of its second and of its last quarter.

        The first quarter is warm-up: caches, pools and short-lived rows fill.
        """
        return {name: _early_and_late(values) for name, values in self.series.items()}

    def grown(self, units: str) -> list[str]:
        """Return a sentence for each figure in these units that grew beyond its bound.

        Milliseconds may grow by the factor by which the machine became slower.
        """
        quarters = self.quarters()
        before, after = quarters.pop(YARDSTICK, (1.0, 1.0))
        slower = {"ms": max(1.0, after / before)}
        return [
            f"{name} grew from {early:.1f} to {late:.1f}"
            for name, (early, late) in quarters.items()
            if (unit := name.rsplit(maxsplit=1)[-1]) in units.split()
            and BOUNDS[unit].exceeded(early * slower.get(unit, 1.0), late)
        ]


def _early_and_late(values: Sequence[float]) -> tuple[float, float]:
    quarter = max(1, len(values) // 4)
    return statistics.median(values[quarter : 2 * quarter] or values), statistics.median(
        values[-quarter:]
    )


def of_process(name: str, pid: int) -> dict[str, float]:
    """Return resident memory and open files of a process with all its children."""
    resident, files = 0, 0
    parent = psutil.Process(pid)
    for process in (parent, *parent.children(recursive=True)):
        # a child may end while it is measured
        with contextlib.suppress(psutil.NoSuchProcess):
            resident += process.memory_info().rss
            files += process.num_fds()
    return {f"{name}, MiB": resident / _MIB, f"{name}, files": float(files)}


def of_machine() -> dict[str, float]:
    """Return the time of a fixed piece of work outside the system."""
    started = time.perf_counter()
    hashlib.pbkdf2_hmac("sha256", b"soak", b"salt", 20_000)
    return {YARDSTICK: 1000 * (time.perf_counter() - started)}


def of_redis(client: Any) -> dict[str, float]:
    """Return the memory, keys and entries of Redis; entries of all lists, sets and indexes."""
    used = client.info("memory")["used_memory"] / _MIB
    figures = {"redis, MiB": used, "redis, keys": float(client.dbsize())}
    return figures | {"redis, entries": float(_entries(client))}


def _entries(client: Any) -> int:
    pipe = client.pipeline(transaction=False)
    for kind, size in (("list", pipe.llen), ("set", pipe.scard), ("zset", pipe.zcard)):
        for name in client.scan_iter(count=1000, _type=kind):
            size(name)
    # a key that expires in between counts as 0
    return sum(pipe.execute())


def kinds(names: Iterable[str]) -> collections.Counter[str]:
    """Count keys by their first two words, as in `sl:job`."""
    return collections.Counter(":".join(name.split(":")[:2]) for name in names)

"""Figures of finished jobs that Redis adds up: what is counted, and how it is read back."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Upper bounds of a histogram's buckets, seconds; the last bucket has none.
BOUNDS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
_INF = "+Inf"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often a value fell below each bound, and the sum of all values."""

    #: (bound, cumulative count); the last bound is +Inf.
    buckets: tuple[tuple[str, float], ...]
    total: float


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """Everything that was added up, by name and labels."""

    sums: Mapping[str, Mapping[Labels, float]]
    histograms: Mapping[str, Mapping[Labels, Histogram]]


class JobMetrics:
    """Figures of one job, to be added in the transaction that ends it."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self.increments: dict[str, float] = {}

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a sum; names and labels are words of ours, never a caller's."""
        if amount:
            field = _field(name, labels)
            self.increments[field] = self.increments.get(field, 0) + amount

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Count a duration in its histogram; a negative one (two clocks) counts as nothing."""
        seconds = max(0.0, seconds)
        place = bisect_left(BOUNDS_S, seconds)
        bound = f"{BOUNDS_S[place]:g}" if place < len(BOUNDS_S) else _INF
        self.add(name, 1, **labels, le=bound)
        self.add(name, round(seconds, 4), **labels, le="sum")


def _field(name: str, labels: Mapping[str, str]) -> str:
    return "|".join((name, *(f"{key}={value}" for key, value in labels.items())))


def _parse(field: str) -> tuple[str, Labels]:
    name, *rest = field.split("|")
    pairs = (part.partition("=") for part in rest)
    return name, tuple((key, value) for key, _, value in pairs)


def read(fields: Mapping[str, str]) -> MetricsSnapshot:
    """Return the figures of the hash that Redis keeps."""
    sums: dict[str, dict[Labels, float]] = {}
    counts: dict[str, dict[Labels, dict[str, float]]] = {}
    for field, value in fields.items():
        name, labels = _parse(field)
        if labels and labels[-1][0] == "le":
            counts.setdefault(name, {}).setdefault(labels[:-1], {})[labels[-1][1]] = float(value)
        else:
            sums.setdefault(name, {})[labels] = float(value)
    return MetricsSnapshot(
        sums,
        {
            name: {labels: _histogram(found) for labels, found in series.items()}
            for name, series in counts.items()
        },
    )


def _histogram(counts: Mapping[str, float]) -> Histogram:
    bounds = [*(f"{bound:g}" for bound in BOUNDS_S), _INF]
    return Histogram(tuple(_cumulated(bounds, counts)), counts.get("sum", 0.0))


def _cumulated(bounds: Iterable[str], counts: Mapping[str, float]) -> Iterable[tuple[str, float]]:
    below = 0.0
    for bound in bounds:
        below += counts.get(bound, 0.0)
        yield bound, below

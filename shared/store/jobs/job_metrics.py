"""The job metrics: what a finished job adds to sums and histograms in Redis, and their reader.

A field of the hash is `name|label=value|...`, with every label that the metric has. A histogram has
a field for each bucket, which ends in `|le=<bound>`, and one for its sum, which ends in `|le=sum`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Upper bounds of a histogram's buckets, seconds; the last bucket has none.
BOUNDS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
_BOUNDS = (*(f"{bound:g}" for bound in BOUNDS_S), "+Inf")
_SUM = "sum"

#: (name, value) of each label, in the order in which they were added.
Labels = tuple[tuple[str, str], ...]


def _pack(name: str, labels: Mapping[str, str], le: str = "") -> str:
    """Return the field of a sum or, with `le`, of a part of a histogram."""
    pairs = [*labels.items(), *([("le", le)] if le else [])]
    return "|".join((name, *(f"{label}={value}" for label, value in pairs)))


def _unpack(field: str) -> tuple[str, Labels, str]:
    """Return name, labels and `le` of a field; `le` is empty for a sum."""
    name, *parts = field.split("|")
    labels = tuple((label, value) for label, _, value in (part.partition("=") for part in parts))
    if labels and labels[-1][0] == "le":
        return name, labels[:-1], labels[-1][1]
    return name, labels, ""


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
    """What one job adds to the metrics, in the transaction that ends it."""

    def __init__(self) -> None:
        self.increments: dict[str, float] = {}

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a sum; names and labels are constants, never a caller's text."""
        self._increment(_pack(name, labels), amount)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Count a duration in its histogram; a negative one (two clocks) counts as 0."""
        seconds = max(0.0, seconds)
        bound = _BOUNDS[bisect_left(BOUNDS_S, seconds)]
        self._increment(_pack(name, labels, bound), 1)
        self._increment(_pack(name, labels, _SUM), round(seconds, 4))

    def _increment(self, field: str, amount: float) -> None:
        if amount:
            self.increments[field] = self.increments.get(field, 0) + amount


def read(fields: Mapping[str, str]) -> MetricsSnapshot:
    """Return the metrics of the hash that Redis keeps."""
    sums: dict[str, dict[Labels, float]] = {}
    counts: dict[str, dict[Labels, dict[str, float]]] = {}
    for field, value in fields.items():
        name, labels, le = _unpack(field)
        if le:
            counts.setdefault(name, {}).setdefault(labels, {})[le] = float(value)
        else:
            sums.setdefault(name, {})[labels] = float(value)
    histograms = {
        name: {labels: _histogram(by_bound) for labels, by_bound in series.items()}
        for name, series in counts.items()
    }
    return MetricsSnapshot(sums, histograms)


def _histogram(counts: Mapping[str, float]) -> Histogram:
    return Histogram(tuple(_cumulate(counts)), counts.get(_SUM, 0.0))


def _cumulate(counts: Mapping[str, float]) -> Iterable[tuple[str, float]]:
    below = 0.0
    for bound in _BOUNDS:
        below += counts.get(bound, 0.0)
        yield bound, below

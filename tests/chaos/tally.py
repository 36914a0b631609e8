"""Adds up what the rows of jobs say they used, and compares it with the sums of the service."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from shared.jobs.row import JobRow
from shared.store.access.usage_store import Usage, UsageStore
from shared.store.connection import Client

_WORK = ("read_s", "encode_s", "prefill_s", "decode_s")
_TOKENS = ("prompt_tokens", "completion_tokens", "image_tokens")

#: By tenant and day or month.
Sums = dict[tuple[str, str], Usage]


def add_up(rows: Iterable[JobRow]) -> Sums:
    """Return what ended jobs used, by tenant and by day and month, from nothing but their rows."""
    counts: dict[tuple[str, str], collections.Counter[str]] = collections.defaultdict(
        collections.Counter
    )
    for row in rows:
        if row.completed_ms is None:
            continue
        day = datetime.fromtimestamp(row.completed_ms / 1000, UTC).date().isoformat()
        for period in (day, day[:7]):
            counts[row.tenant, period].update(_amounts(row))
    return {place: Usage(**count) for place, count in counts.items()}


def _amounts(row: JobRow) -> dict[str, int]:
    usage, seconds = row.usage or {}, row.metrics or {}
    work_s = sum(seconds.get(stage) or 0.0 for stage in _WORK)
    return {
        "jobs": 1,
        row.status.value: 1,
        "images": len(row.images),
        "pages": len(row.pages),
        **{kind: int(usage.get(kind) or 0) for kind in _TOKENS},
        "work_ms": math.floor(work_s * 1000 + 0.5),
    }


def differing_sums(client: Client, sums: Mapping[tuple[str, str], Usage]) -> list[str]:
    """Return a sentence for each sum of the service that the rows contradict."""
    store, sentences = UsageStore(client), []
    for (tenant, period), expected in sums.items():
        kept = store.read(tenant, [period])[period]
        for name in Usage.model_fields:
            one, other = getattr(kept, name), getattr(expected, name)
            if one != other:
                sentences.append(
                    f"usage of {tenant} in {period}: {one} {name}, but its jobs have {other}"
                )
    return sentences

"""What keys have used as callers see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.store.usage_store import Usage


def usage_view(usage: Usage) -> dict[str, Any]:
    """Return sums with their seconds."""
    counts = usage.model_dump(exclude={"work_ms"})
    return {**counts, "work_s": round(usage.work_ms / 1000, 3)}


def period_views(key: str, usages: Mapping[str, Usage]) -> list[dict[str, Any]]:
    """Return the periods of a key in which jobs have ended."""
    return [
        {"period": period, "key": key, **usage_view(usage)}
        for period, usage in usages.items()
        if usage.jobs
    ]

"""What keys have used as callers see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.store.access.usage_store import Usage, UsageStore


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


def budget_views(store: UsageStore, tenant: str) -> list[dict[str, Any]]:
    """Return the budgets of a tenant, and what it has used of them in this month."""
    limits = store.budgets(tenant)
    if not limits:
        return []
    month = store.today().isoformat()[:7]
    used = store.read(tenant, [month])[month]
    return [
        {"budget": kind, "month": month, "limit": limit, "used": used.spent(kind)}
        for kind, limit in limits.items()
    ]

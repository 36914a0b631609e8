"""The usage store: what the ended jobs of each tenant have used, by day and by month in UTC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.store import keys
from shared.store.access.api_key_types import BUDGETS
from shared.store.connection import Client
from shared.store.failures import guard

#: The length of a period that usage is summed up in.
Step = Literal["day", "month"]


class Usage(BaseModel):
    """Sums over the jobs that have ended in one period."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    jobs: int = 0
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0
    expired: int = 0
    images: int = 0
    pages: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    image_tokens: int = 0
    #: Time that the readers and the model have worked, milliseconds.
    work_ms: int = 0

    def spent(self, budget: str) -> int:
        """Return what counts against a budget: jobs, pages, or tokens in and out."""
        if budget == "tokens":
            return self.prompt_tokens + self.completion_tokens
        return int(getattr(self, budget))

    @classmethod
    def total(cls, usages: Iterable[Usage]) -> Usage:
        """Return several periods together."""
        each = list(usages)
        return cls(**{name: sum(getattr(u, name) for u in each) for name in cls.model_fields})


class UsageStore:
    """Reads what tenants have used; every method raises StoreUnavailable without Redis."""

    def __init__(self, client: Client) -> None:
        self._redis = client

    def today(self) -> date:
        """Return the day that jobs which end now are counted in."""
        with guard():
            seconds, _ = self._redis.time()
        return datetime.fromtimestamp(seconds, UTC).date()

    def budgets(self, tenant: str) -> dict[str, int]:
        """Return what a tenant may use in a month, of those kinds that are bounded."""
        with guard():
            limits = self._redis.hmget(keys.BUDGET + tenant, list(BUDGETS))
        return {kind: int(limit) for kind, limit in zip(BUDGETS, limits, strict=True) if limit}

    def read(self, tenant: str, periods: Sequence[str]) -> Mapping[str, Usage]:
        """Return the usage in each period, such as 2026-11-28 or 2026-11; 0 where none is known."""
        with guard():
            pipe = self._redis.pipeline(transaction=False)
            for period in periods:
                pipe.hgetall(keys.usage(tenant, period))
            rows = pipe.execute()
        return {
            period: Usage.model_validate(row) for period, row in zip(periods, rows, strict=True)
        }


def days_asked(first: date | None, last: date | None, today: date) -> tuple[date, date]:
    """Return the first and the last day: by default today, and the first of the last one's month.

    Raises ValueError where they are the wrong way round.
    """
    last = last or today
    first = first or last.replace(day=1)
    if first > last:
        raise ValueError("from is later than to")
    return first, last


def periods_between(first: date, last: date, step: Step) -> list[str]:
    """Return the names of all days or months from the first to the last, both included."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    if step == "day":
        return [day.isoformat() for day in days]
    return list(dict.fromkeys(day.isoformat()[:7] for day in days))

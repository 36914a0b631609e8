"""The shapes of what keys have used as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, Field

from gateway.schemas.parameters import Parameters
from shared.store.access.usage_store import Step

#: Days of one answer: a leap year.
MAX_DAYS = 366
#: Months are kept longer than days.
MAX_MONTHS_DAYS = 3 * MAX_DAYS
#: Periods of all keys together that one answer reads.
MAX_ROWS = 4000


class UsageQuery(Parameters):
    """Whose usage, and of which days."""

    first: date | None = Field(None, alias="from", description="By default the month's first day.")
    last: date | None = Field(None, alias="to", description="By default today, in UTC.")
    by: Step = Field("day", description="Sums by day or by month.")
    key: str | None = Field(
        None,
        max_length=80,
        description="The name or id of another key, `anonymous`, or `all`; needs the scope admin.",
    )


class UsageSums(BaseModel):
    """Sums over jobs that have ended."""

    jobs: int
    succeeded: int
    failed: int
    canceled: int
    expired: int
    images: int = Field(description="Pictures that came with the jobs.")
    pages: int = Field(description="Pages of documents that were asked for.")
    prompt_tokens: int
    completion_tokens: int
    image_tokens: int = Field(description="Those of the prompts' tokens that stand for pictures.")
    work_s: float = Field(description="Seconds that the readers and the model have worked.")


class UsagePeriod(UsageSums):
    """What one key has used in a day or a month."""

    period: str = Field(description="A day or a month in UTC, such as 2026-11-28 or 2026-11.")
    key: str = Field(description="The key's name; `anonymous` for callers without one.")


class BudgetState(BaseModel):
    """A budget of one key for this month."""

    budget: Literal["jobs", "pages", "tokens"]
    month: str
    limit: int
    used: int


class UsageReport(BaseModel):
    """What was used, the earliest first; periods without a job are left out."""

    object: Literal["list"]
    first: date = Field(alias="from")
    last: date = Field(alias="to")
    by: Step
    data: list[UsagePeriod]
    total: UsageSums
    budgets: list[BudgetState] = Field(
        description="The budgets of the key that is asked about, for this month; none for `all`."
    )

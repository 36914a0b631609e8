"""What an API key is, what its operator sets of it, and who the caller of a request is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from shared.store.access.rate_limits import RateLimits
from shared.store.fleet.forecasts import QueuePosition
from shared.webhooks import Webhook

#: The tenant of callers without a key.
ANONYMOUS = "anonymous"
#: Stands for every tenant where one is named.
ALL = "all"
#: Whether callers may come without a key; `alone` lets them while no key was ever made.
Anonymous = Literal["yes", "no", "alone"]
#: The limit that a request counts against; "" counts against none.
Charged = Literal["requests", "reads", ""]
#: What a key may do: start work, read results, or everything and what concerns other keys.
Scope = Literal["submit", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
#: Of a key that was made without any, and of callers without a key.
USUAL_SCOPES: frozenset[Scope] = frozenset({"submit", "read"})
MAX_WEIGHT = 100
#: Kinds of budgets, each for a calendar month.
BUDGETS = ("jobs", "pages", "tokens")
#: Who is told of a budget, in the row of it.
WEBHOOK_FIELDS = tuple(Webhook("", "").fields(""))
#: A limit that is the service's again.
DEFAULT = -1


class ApiKeyError(Exception):
    """An operator's request about the keys cannot be carried out."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key, which is a tenant; times are milliseconds of Redis' clock."""

    id: str
    name: str
    created_ms: int
    revoked_ms: int | None
    #: Its own limits by name; None uses the service's default.
    limits: dict[str, int | None]
    weight: int
    scopes: frozenset[Scope]
    #: Seconds that its jobs, conversations and files are kept at most; None: as the service says.
    retention_s: int | None
    #: What it may use in a month, of those kinds that are bounded; and the URL that is told.
    budgets: dict[str, int]
    budget_webhook: str | None
    #: Last four characters of each valid secret, newest last, and seconds until it expires.
    secrets: list[tuple[str, float | None]]


@dataclass(frozen=True, slots=True)
class Caller:
    """The tenant of a request, its limits and what it has used of them."""

    tenant: str
    name: str
    limits: RateLimits
    used: RateLimits
    #: Seconds until this minute ends.
    reset_s: float
    #: Seconds until there is room for the request, where it is one too many.
    refused_s: float | None
    #: Where a job of this request would stand; None where it was not charged as one.
    queue_position: QueuePosition | None = None
    charged: Charged = ""
    scopes: frozenset[Scope] = USUAL_SCOPES
    #: Seconds that what it leaves is kept at most; None: as the service says.
    retention_s: int | None = None


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What an operator sets of a key; None leaves it, DEFAULT makes it the service's again."""

    limits: Mapping[str, int | None] = field(default_factory=dict)
    weight: int | None = None
    scopes: frozenset[Scope] | None = None
    retention_s: int | None = None
    #: Jobs, pages and tokens of a month.
    budgets: Mapping[str, int | None] = field(default_factory=dict)
    #: Who is told when a budget is nearly or all used; "" for nobody.
    budget_webhook: Webhook | Literal[""] | None = None

    def check(self) -> None:
        """Raise ApiKeyError for what no key may have."""
        if self.weight is not None and not 1 <= self.weight <= MAX_WEIGHT:
            raise ApiKeyError(f"the weight must be between 1 and {MAX_WEIGHT}")
        if self.scopes is not None and not self.scopes:
            raise ApiKeyError("a key needs at least one scope")

    def fields(self) -> dict[str, int | str | None]:
        """Return the fields of the key's row that are set (a value) or left (None)."""
        scopes = None if self.scopes is None else " ".join(sorted(self.scopes))
        return {**self.limits, "scopes": scopes}

    def budget_fields(self, tenant: str) -> dict[str, int | str | None]:
        """Return the fields of the key's budget, as `fields`."""
        if self.budget_webhook is None:
            return dict(self.budgets)
        named = self.budget_webhook
        webhook = named.fields(tenant) if named else dict.fromkeys(WEBHOOK_FIELDS, DEFAULT)
        return {**self.budgets, **webhook}

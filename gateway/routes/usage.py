"""What a key has used, by day or by month."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_caller, require_scope
from gateway.http import problems
from gateway.responses.views.usage import budget_views, period_views, usage_view
from gateway.schemas.usage import MAX_DAYS, MAX_MONTHS_DAYS, MAX_ROWS, UsageQuery, UsageReport
from gateway.services import current_services
from shared import errors
from shared.store.access.api_key_types import ANONYMOUS, ApiKeyError
from shared.store.access.usage_store import Usage, days_asked, periods_between

usage = APIBlueprint("usage", __name__, abp_tags=[Tag(name="service")])


@usage.get(
    "/v1/usage",
    summary="Sum up usage",
    responses={
        200: UsageReport,
        **problems.documented(
            errors.InsufficientScope,
            errors.NotFound,
            errors.BadParameters,
            errors.StoreUnavailable,
        ),
    },
)
def read(query: UsageQuery) -> dict[str, Any]:
    """Return what a key's ended jobs have used, by day or month in UTC."""
    store = current_services().usage
    try:
        first, last = days_asked(query.first, query.last, store.today())
    except ValueError as error:
        raise errors.BadParameters(f"{error}.", pointer="/from") from None
    _check_length(first, last, query)
    periods, tenants = periods_between(first, last, query.by), _find_tenants(query.key)
    if len(periods) * len(tenants) > MAX_ROWS:
        raise errors.BadParameters(
            f"{len(periods)} periods of {len(tenants)} keys are more than the {MAX_ROWS} of one "
            "answer.",
            pointer="/from",
            hint="Ask for fewer days, or by month.",
        )
    used = [(name, store.read(tenant, periods)) for tenant, name in tenants.items()]
    data = [row for name, usages in used for row in period_views(name, usages)]
    total = Usage.total(one for _, usages in used for one in usages.values())
    return {
        "object": "list",
        "from": first.isoformat(),
        "to": last.isoformat(),
        "by": query.by,
        "data": sorted(data, key=lambda row: row["period"]),
        "total": usage_view(total),
        "budgets": [] if len(tenants) > 1 else budget_views(store, *tenants),
    }


def _check_length(first: date, last: date, query: UsageQuery) -> None:
    most = MAX_DAYS if query.by == "day" else MAX_MONTHS_DAYS
    if (last - first).days >= most:
        raise errors.BadParameters(
            f"One answer covers at most {most} days by {query.by}.", pointer="/from"
        )


def _find_tenants(key: str | None) -> dict[str, str]:
    """Return the tenants that are asked about, with their names."""
    caller = current_caller()
    if key is None:
        return {caller.tenant: caller.name or ANONYMOUS}
    require_scope("admin")
    try:
        return current_services().api_keys.tenants(key)
    except ApiKeyError as error:
        raise errors.NotFound(str(error)) from None

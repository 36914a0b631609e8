"""Groups of jobs: their counts, canceling all of them, retrying those that failed."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_tenant
from gateway.http import problems
from gateway.responses.after_change import after_change
from gateway.responses.views.group import group_view
from gateway.routes.refusals import WRITE_ERRORS
from gateway.schemas.jobs.groups import (
    GroupList,
    GroupPath,
    GroupQuery,
    GroupRequest,
    GroupRetried,
    GroupState,
)
from gateway.services import current_services
from gateway.submission.body import parse_body
from gateway.submission.resubmit import retry_group
from gateway.submission.webhook import check_webhook
from shared import errors

groups = APIBlueprint("groups", __name__, abp_tags=[Tag(name="groups")])

_READ = problems.documented(errors.NotFound, errors.BadParameters, errors.StoreUnavailable)


@groups.get("/v1/groups", summary="List groups", responses={200: GroupList, **_READ})
def list_groups(query: GroupQuery) -> dict[str, Any]:
    """Return the most recently used groups."""
    services, tenant = current_services(), current_tenant()
    page = services.groups.page(tenant, query.limit)
    return {"object": "list", "data": [group_view(one, services, tenant) for one in page]}


@groups.get("/v1/groups/<group_id>", summary="Get a group", responses={200: GroupState, **_READ})
def read(path: GroupPath) -> dict[str, Any]:
    """Return a group with its counts and when it will be through."""
    services, tenant = current_services(), current_tenant()
    return group_view(services.groups.get(tenant, path.group_id), services, tenant)


@groups.put(
    "/v1/groups/<group_id>",
    summary="Describe a group",
    responses={
        200: GroupState,
        **problems.documented(
            errors.InvalidJson,
            errors.UnsupportedMediaType,
            errors.PayloadTooLarge,
            errors.BadParameters,
            errors.UrlNotAllowed,
            *WRITE_ERRORS,
        ),
    },
)
def describe(path: GroupPath) -> dict[str, Any]:
    """Say how many jobs the group will have and who is told of its end; before them or later."""
    services, tenant = current_services(), current_tenant()
    services.store_health.check(for_later=True)
    asked = parse_body(request, GroupRequest)
    webhook = check_webhook(asked.webhook, "/webhook", services) if asked.webhook else None
    group = services.groups.put(
        tenant,
        path.group_id,
        2 * services.settings.job_ttl_s,
        size=asked.size,
        metadata=asked.metadata or {},
        webhook=webhook,
    )
    return group_view(group, services, tenant)


@groups.post(
    "/v1/groups/<group_id>/cancel",
    summary="Cancel the jobs of a group",
    responses={200: GroupState, **_READ, **problems.documented(*WRITE_ERRORS)},
)
def cancel(path: GroupPath) -> dict[str, Any]:
    """Cancel its queued jobs at once; running ones stop within a step and keep their text."""
    services, tenant = current_services(), current_tenant()
    services.groups.get(tenant, path.group_id)
    services.groups.cancel(tenant, path.group_id)
    with after_change("The jobs were asked to stop"):
        return group_view(services.groups.get(tenant, path.group_id), services, tenant)


@groups.post(
    "/v1/groups/<group_id>/retry",
    summary="Retry the failed jobs of a group",
    responses={
        200: GroupRetried,
        **_READ,
        **problems.documented(
            errors.TooManyInFlight, errors.TooManyQueued, errors.QueueFull, *WRITE_ERRORS
        ),
    },
)
def retry(path: GroupPath) -> dict[str, Any]:
    """Make a new job in the group for each that failed or expired, as many as there is room for.

    One call takes up to 500 of them.
    """
    services, tenant = current_services(), current_tenant()
    services.groups.get(tenant, path.group_id)
    retried, reason = retry_group(path.group_id, services, tenant)
    with after_change("The jobs were retried"):
        group = services.groups.get(tenant, path.group_id)
        left = services.groups.count_failed(tenant, path.group_id)
        view = group_view(group, services, tenant)
    return {"group": view, "retried": retried, "left": left, "reason": reason}

"""OpenAI's batches: files of requests that become jobs as there is room for them."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_openapi3 import APIBlueprint, Tag

from gateway.audit import note_made
from gateway.auth import current_tenant
from gateway.http import problems
from gateway.responses.paging import page_view
from gateway.responses.views.batch import batch_view
from gateway.routes.refusals import WRITE_ERRORS
from gateway.schemas.openai.batches import (
    BatchList,
    BatchObject,
    BatchPath,
    BatchRequest,
    PageQuery,
)
from gateway.services import Services, current_services
from gateway.submission.body import parse_body
from gateway.submission.webhook import check_webhook
from shared import errors
from shared.store.uploads.file_store import StoredFile, new_file_id

batches = APIBlueprint("batches", __name__, abp_tags=[Tag(name="openai")])

_READ = problems.documented(errors.NotFound, errors.BadParameters, errors.StoreUnavailable)
_HOUR_S, _DAY_S = 3600, 86_400
_MAX_WINDOW_S = 30 * _DAY_S


@batches.post(
    "/v1/batches",
    summary="Create a batch",
    responses={
        200: BatchObject,
        **problems.documented(
            errors.InvalidJson,
            errors.UnsupportedMediaType,
            errors.PayloadTooLarge,
            errors.BadParameters,
            errors.NotFound,
            errors.UrlNotAllowed,
            *WRITE_ERRORS,
        ),
    },
)
def create() -> dict[str, Any]:
    """Run every line of a file as a job of low priority; its results are files too."""
    services, tenant = current_services(), current_tenant()
    services.store_health.check(for_later=True)
    asked = parse_body(request, BatchRequest)
    window_s = _window_s(asked.completion_window)
    _read_input(asked.input_file_id, services, tenant)
    webhook = check_webhook(asked.webhook, "/webhook", services) if asked.webhook else None
    fields = {
        "endpoint": asked.endpoint,
        "input_file": asked.input_file_id,
        "output_file": new_file_id(),
        "error_file": new_file_id(),
        "completion_window": asked.completion_window,
        "metadata": asked.metadata or {},
    }
    if asked.output_expires_after:
        fields["output_kept_ms"] = str(1000 * asked.output_expires_after.seconds)
    batch = services.batches.create(tenant, fields, window_s, webhook)
    note_made(batch.id)
    return batch_view(batch)


def _window_s(text: str) -> int:
    window_s = int(text[:-1]) * (_DAY_S if text.endswith("d") else _HOUR_S)
    if window_s > _MAX_WINDOW_S:
        raise errors.BadParameters(
            "completion_window must be at most 30d.", pointer="/completion_window"
        )
    return window_s


def _read_input(file_id: str, services: Services, tenant: str) -> StoredFile:
    pointer = "/input_file_id"
    try:
        file = services.files.get(tenant, file_id)
    except errors.NotFound as error:
        raise errors.NotFound(error.detail, pointer=pointer) from None
    if file.purpose != "batch":
        raise errors.BadParameters(
            f"The file has the purpose {file.purpose}; a batch needs batch.", pointer=pointer
        )
    most = services.settings.batch_lines_max
    if not 0 < file.pieces <= most:
        raise errors.BadParameters(
            f"The file has {file.pieces} lines; a batch has 1 to {most}.", pointer=pointer
        )
    return file


@batches.get("/v1/batches", summary="List batches", responses={200: BatchList, **_READ})
def list_batches(query: PageQuery) -> dict[str, Any]:
    """Return a page of batches, newest first."""
    page, more = current_services().batches.page(current_tenant(), query.limit, query.after)
    return page_view([batch_view(batch) for batch in page], more=more)


@batches.get("/v1/batches/<batch_id>", summary="Get a batch", responses={200: BatchObject, **_READ})
def read(path: BatchPath) -> dict[str, Any]:
    """Return the batch with its counts."""
    return batch_view(current_services().batches.get(current_tenant(), path.batch_id))


@batches.post(
    "/v1/batches/<batch_id>/cancel",
    summary="Cancel a batch",
    responses={200: BatchObject, **_READ, **problems.documented(*WRITE_ERRORS)},
)
def cancel(path: BatchPath) -> dict[str, Any]:
    """Submit no more lines and cancel the jobs in hand; the results so far stay."""
    return batch_view(current_services().batches.cancel(current_tenant(), path.batch_id))

"""OpenAI's Responses API over jobs: a response is a job, under an id of its own."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from gateway import auth
from gateway.http import problems
from gateway.http.server.client_connection import forget_body
from gateway.responses.after_change import after_change
from gateway.responses.following.followed_job import FollowedJob
from gateway.responses.following.held_response import HeldResponse, KeepAlive, stream_ping_s
from gateway.responses.following.long_poll import LongPoll
from gateway.responses.following.sse_response import sse_response
from gateway.responses.paging import page_of
from gateway.responses.responses_api.stream import ResponseStream
from gateway.responses.responses_api.view import input_items, response_view
from gateway.responses.warning_header import add_warnings
from gateway.routes.openai.chats import CHAT_ERRORS
from gateway.routes.refusals import READ_ERRORS, WRITE_ERRORS
from gateway.schemas.jobs.queries import KeyHeader
from gateway.schemas.openai.responses import (
    DeletedResponse,
    InputItemList,
    ItemsQuery,
    ResponseObject,
    ResponsePath,
    ResponseQuery,
)
from gateway.services import Services, current_services
from gateway.submission.idempotency import Idempotency, counts_retries, find_key
from gateway.submission.responses_api.request import receive_response
from gateway.submission.submit import submit_chat
from shared import errors
from shared.jobs.response_api import job_id_of
from shared.jobs.row import JobRow
from shared.store.jobs.waiters import new_waiter

responses = APIBlueprint("responses", __name__, abp_tags=[Tag(name="openai")])

#: Seconds: a worker learns of a cancel with its next heartbeat and stops within one step.
_STOP_S = 3.0


@responses.post(
    "/v1/responses",
    summary="Create a response",
    responses={200: ResponseObject, **CHAT_ERRORS, **problems.documented(errors.NotFound)},
)
def create(header: KeyHeader) -> Response:
    """Answer the input: when it is ready, as it is written (`stream`), or later (`background`).

    Without `background` the job is canceled if the client disconnects.
    """
    services, tenant = current_services(), auth.current_tenant()
    key = find_key(request, services, tenant, header.idempotency_key)
    # refused before the input and its images are read and parsed
    with Idempotency(services.store, tenant, key, live=True).allow_replay():
        services.admission.check_open(tenant, auth.current_position())
    received = receive_response(request, services, tenant)
    waiter = "" if received.background else new_waiter()
    row = submit_chat(received.chat, services, tenant, key, waiter).row()
    forget_body(request)
    with after_change("The job was stored", job_id=row.id):
        if received.background:
            response = _respond_at_once(row, services, stream=received.stream)
        else:
            response = _hold(row, services, waiter, stream=received.stream)
    add_warnings(response, row)
    return response


def _respond_at_once(row: JobRow, services: Services, *, stream: bool) -> Response:
    if not stream:
        return jsonify(response_view(row))
    job = FollowedJob.of(request, services, row.tenant, row.id)
    return sse_response(ResponseStream(job, row, ping_s=_ping_s(services)).iter_frames())


def _hold(row: JobRow, services: Services, waiter: str, *, stream: bool) -> Response:
    # a client retries until an answer begins, and a stream begins at once
    may_retry = not stream and counts_retries(request)
    held_response = HeldResponse(request, services, row, waiter, may_retry=may_retry)
    if stream:
        ping_s = _ping_s(services)
        leave = held_response.leave
        events = ResponseStream(held_response.job, row, ping_s=ping_s, leave=leave)
        return sse_response(events.iter_frames())
    return held_response.respond(KeepAlive.of(request), response_view)


def _ping_s(services: Services) -> float:
    return min(services.settings.ping_s, stream_ping_s(request))


@responses.get(
    "/v1/responses/<response_id>",
    summary="Get a response",
    responses={200: ResponseObject, **READ_ERRORS},
)
def read(path: ResponsePath, query: ResponseQuery) -> Response:
    """Return the response; with `stream`, its events after number `starting_after`."""
    services = current_services()
    row = _read_row(path.response_id, services)
    if not query.stream:
        return jsonify(response_view(row))
    job = FollowedJob.of(request, services, row.tenant, row.id)
    after = -1 if query.starting_after is None else query.starting_after
    stream = ResponseStream(job, row, ping_s=_ping_s(services), after=after)
    return sse_response(stream.iter_frames())


@responses.post(
    "/v1/responses/<response_id>/cancel",
    summary="Cancel a response",
    responses={200: ResponseObject, **READ_ERRORS, **problems.documented(*WRITE_ERRORS)},
)
def cancel(path: ResponsePath) -> Response:
    """Stop a response, which keeps its text so far; one that has ended stays as it is.

    The answer waits briefly for that, and shows an unfinished response if it takes longer.
    """
    services = current_services()
    row = _read_row(path.response_id, services)
    outcome = services.store.cancel(row.id, row.tenant)
    job = FollowedJob.of(request, services, row.tenant, row.id)
    with after_change("The job was asked to stop", job_id=row.id):
        poll = LongPoll(job, _STOP_S if outcome == "canceling" else 0)
        return jsonify(response_view(poll.until_terminal()))


@responses.delete(
    "/v1/responses/<response_id>",
    summary="Delete a response",
    responses={200: DeletedResponse, **READ_ERRORS, **problems.documented(*WRITE_ERRORS)},
)
def delete(path: ResponsePath) -> dict[str, Any]:
    """Stop the response and delete all its data; later reads return 404."""
    services = current_services()
    row = _read_row(path.response_id, services)
    services.store.erase(row.id, row.tenant)
    return {"id": path.response_id, "object": "response", "deleted": True}


@responses.get(
    "/v1/responses/<response_id>/input_items",
    summary="List the input items of a response",
    responses={200: InputItemList, **READ_ERRORS},
)
def list_input_items(path: ResponsePath, query: ItemsQuery) -> dict[str, Any]:
    """Return a page of the messages that the response was asked with, newest first."""
    items = input_items(_read_row(path.response_id, current_services()))
    if query.order == "desc":
        items.reverse()
    return page_of(items, query.after, query.limit)


def _read_row(response_id: str, services: Services) -> JobRow:
    """Return the job of a response; raises NotFound also for other jobs and erased ones."""
    try:
        row = services.store.get(job_id_of(response_id), auth.current_tenant())
    except errors.Erased:
        raise errors.NotFound("This response was deleted.") from None
    if row.response is None or not row.response.store:
        raise errors.NotFound("There is no response under this ID.")
    return row

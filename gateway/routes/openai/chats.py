"""OpenAI's API: chat completions, streamed or whole, and models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from gateway import auth
from gateway.http import problems
from gateway.http.base_path import link_base
from gateway.http.server.client_connection import forget_body
from gateway.responses.after_change import after_change
from gateway.responses.chats.completion import ChatCompletion, completion
from gateway.responses.chats.stream import ChatStream
from gateway.responses.following.held_response import HeldResponse, KeepAlive, stream_ping_s
from gateway.responses.following.sse_response import sse_response
from gateway.responses.views.worker import model_view
from gateway.responses.warning_header import add_warnings
from gateway.routes.refusals import SUBMIT_ERRORS
from gateway.schemas.jobs.queries import KeyHeader
from gateway.schemas.openai.models import ModelList, ModelPath, ModelState
from gateway.services import Services, current_services
from gateway.submission.chats.request import receive_chat
from gateway.submission.idempotency import Idempotency, counts_retries, find_key
from gateway.submission.submit import submit_chat
from shared import errors
from shared.jobs.row import JobRow
from shared.prediction.heartbeat import Heartbeat
from shared.store.jobs.waiters import new_waiter

openai = APIBlueprint("openai", __name__, abp_tags=[Tag(name="openai")])

_STORE = problems.documented(errors.StoreUnavailable)
#: Of every route that holds a request until its answer.
CHAT_ERRORS = SUBMIT_ERRORS | problems.documented(
    errors.NoResult,
    errors.Erased,
    errors.JobFailure,
    errors.InferenceFailed,
    errors.OutOfMemory,
    errors.PoisonJob,
    errors.ImageGone,
    errors.DocumentGone,
    errors.PageFailed,
)


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How a chat wants its answer."""

    stream: bool
    with_usage: bool


@openai.post(
    "/v1/chat/completions",
    summary="Create a chat completion",
    responses={200: ChatCompletion, **CHAT_ERRORS},
)
def chat(header: KeyHeader) -> Response:
    """Answer the last message, all at once or as it is written (`stream`).

    The request is held for as long as the client's headers say it waits. If it disconnects, the job
    is canceled, unless it repeats the same request.
    """
    services, tenant = current_services(), auth.current_tenant()
    key = find_key(request, services, tenant, header.idempotency_key)
    # refused before the messages and their images are read and parsed
    with Idempotency(services.store, tenant, key, live=True).allow_replay():
        services.admission.check_open(tenant, auth.current_position())
    waiter = new_waiter()
    row, options = _receive(services, tenant, key, waiter)
    # a client retries until an answer begins, and a stream begins at once
    may_retry = not options.stream and counts_retries(request)
    with after_change("The job was stored", job_id=row.id):
        held_response = HeldResponse(request, services, row, waiter, may_retry=may_retry)
        if options.stream:
            response = _stream(options, held_response, services)
        else:
            response = _respond(held_response)
    add_warnings(response, row)
    return response


def _receive(
    services: Services, tenant: str, key: str | None, waiter: str
) -> tuple[JobRow, ChatOptions]:
    """Submit the chat of this request; return its job, and what the answer looks like."""
    received = receive_chat(request, services.settings, services.models)
    row = submit_chat(received.chat, services, tenant, key, waiter).row()
    # not the chat with its images, which would stay in memory until the answer
    forget_body(request)
    return row, ChatOptions(bool(received.asked.stream), received.asked.with_usage)


def _respond(held_response: HeldResponse) -> Response:
    response = held_response.respond(KeepAlive.of(request), completion)
    if not response.is_streamed:
        response.headers["Content-Location"] = f"{link_base()}/v1/jobs/{held_response.job.id}"
    return response


def _stream(options: ChatOptions, held_response: HeldResponse, services: Services) -> Response:
    ping_s = min(services.settings.ping_s, stream_ping_s(request))
    stream = ChatStream(held_response, ping_s=ping_s, with_usage=options.with_usage)
    return sse_response(stream.iter_frames())


@openai.get("/v1/models", summary="List models", responses={200: ModelList, **_STORE})
def models() -> dict[str, Any]:
    """Return the models of the running workers."""
    directory, workers = current_services().models, current_services().workers.fresh()
    by_model: dict[str, list[Heartbeat]] = {}
    for worker in workers:
        by_model.setdefault(worker.model, []).append(worker)
    return {"object": "list", "data": [model_view(own, directory) for own in by_model.values()]}


@openai.get(
    "/v1/models/<path:model_id>",
    summary="Get a model",
    responses={
        200: ModelState,
        **problems.documented(errors.ModelNotFound, errors.ModelRequired, errors.StoreUnavailable),
    },
)
def model(path: ModelPath) -> dict[str, Any]:
    """Return one of the models of the running workers."""
    directory = current_services().models
    return model_view(directory.find_served(path.model_id), directory)

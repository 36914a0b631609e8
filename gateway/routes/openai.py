"""OpenAI's API: chat completions, streamed or whole, and models."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from gateway import auth
from gateway.http import problems
from gateway.responses.chat_completion import ChatCompletion, completion
from gateway.responses.chat_stream import ChatStream
from gateway.responses.held_response import HeldResponse, KeepAlive, stream_ping_s
from gateway.responses.job_view import why_no_answer
from gateway.responses.worker_view import model_view
from gateway.routes.refusals import SUBMIT_ERRORS
from gateway.schemas.jobs import KeyHeader, ModelList, ModelPath, ModelState
from gateway.services import Services, current_services
from gateway.submission.chat_request import ANY_MODEL, Chat, receive_chat
from gateway.submission.idempotency import Idempotency, counts_retries, find_key
from gateway.submission.submit import submit_chat
from shared import errors
from shared.excerpt import excerpt
from shared.jobs import JobStatus
from shared.jobs.row import JobRow
from shared.prediction.heartbeat import Heartbeat
from shared.store import StoredJob

openai = APIBlueprint("openai", __name__, abp_tags=[Tag(name="openai")])

_STORE = problems.documented(errors.StoreUnavailable)
_CHAT_ERRORS = SUBMIT_ERRORS | problems.documented(
    errors.ModelNotFound,
    errors.NoResult,
    errors.Erased,
    errors.JobFailure,
    errors.InferenceFailed,
    errors.OutOfMemory,
    errors.PoisonJob,
    errors.ImageGone,
)


@openai.post(
    "/v1/chat/completions",
    summary="Chat, as OpenAI's clients do",
    responses={200: ChatCompletion, **_CHAT_ERRORS},
)
def chat(header: KeyHeader) -> Response:
    """Answer the last message, when it is known or as it is written (`stream`).

    The request is held as long as the client waits by its own headers; if it hangs up, its job is
    canceled, unless it comes back with the same request.
    """
    services, tenant = current_services(), auth.current_tenant()
    key = find_key(request, services, tenant, header.idempotency_key)
    # refused before the messages and their images are read and parsed
    with Idempotency(services.store, tenant, key).allow_replay():
        services.admission.check_open(tenant, auth.current_position())
    workers = services.workers.fresh()
    chat = receive_chat(request, services.settings, workers)
    _check_model(chat.request.model, workers)
    stored = _submit(chat, services, tenant, key)
    stream = bool(chat.request.stream)
    # a client retries until an answer begins, and a stream begins at once
    may_retry = not stream and counts_retries(request)
    job_id = stored.doorbell.job_id
    held_response = HeldResponse(request, services, tenant, job_id, may_retry=may_retry)
    return _stream(chat, held_response, services) if stream else _respond(held_response)


def _check_model(name: str, workers: list[Heartbeat]) -> None:
    loaded = {worker.model for worker in workers}
    if loaded and name not in loaded | {ANY_MODEL}:
        known = ", ".join(sorted(loaded))
        raise errors.ModelNotFound(
            f"There is no model {excerpt(name)!r}; {known} is up.", pointer="/model"
        )


def _submit(chat: Chat, services: Services, tenant: str, key: str | None) -> StoredJob:
    """Enqueue the chat, or find the job of the same request that its client repeats."""
    stored = submit_chat(chat, services, tenant, key)
    if key is None or not stored.replayed or not _was_stopped(stored.row()):
        return stored
    services.store.forget_key(tenant, key)
    return submit_chat(chat, services, tenant, key)


def _was_stopped(row: JobRow) -> bool:
    """Tell whether a job ends without an answer that is worth waiting for."""
    return row.cancel or row.status in (JobStatus.CANCELED, JobStatus.EXPIRED)


def _respond(held_response: HeldResponse) -> Response:
    keep_alive = KeepAlive.of(request)
    row = held_response.until_terminal(keep_alive.quiet_s)
    if not row.status.terminal:
        body = held_response.iter_body(keep_alive.every_s, completion)
        return Response(body, mimetype="application/json")
    if row.status is not JobStatus.SUCCEEDED:
        raise why_no_answer(row)
    response = jsonify(completion(row))
    response.headers["Content-Location"] = f"/v1/jobs/{row.id}"
    return response


def _stream(chat: Chat, held_response: HeldResponse, services: Services) -> Response:
    ping_s = min(services.settings.ping_s, stream_ping_s(request))
    stream = ChatStream(held_response, ping_s=ping_s, with_usage=chat.request.with_usage)
    return Response(
        stream.iter_frames(),
        mimetype="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@openai.get("/v1/models", summary="What is loaded?", responses={200: ModelList, **_STORE})
def models() -> dict[str, Any]:
    """Return the models of the workers that are up."""
    by_model = {worker.model: worker for worker in current_services().workers.fresh()}
    return {"object": "list", "data": [model_view(worker) for worker in by_model.values()]}


@openai.get(
    "/v1/models/<path:model_id>",
    summary="Is it loaded?",
    responses={
        200: ModelState,
        **problems.documented(errors.ModelNotFound, errors.StoreUnavailable),
    },
)
def model(path: ModelPath) -> dict[str, Any]:
    """Return one of the models of the workers that are up."""
    workers = current_services().workers.fresh()
    for worker in workers:
        if path.model_id in (worker.model, ANY_MODEL):
            return model_view(worker)
    raise errors.ModelNotFound(f"There is no model {excerpt(path.model_id)!r}.")

"""OpenAI's API on the same queue: chat completions, streamed or whole, and models."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_tenant
from gateway.http import problems
from gateway.responses.chat_completion import ChatCompletion, completion
from gateway.responses.chat_stream import ChatStream
from gateway.responses.held_response import HeldResponse, KeepAlive, stream_patience_s
from gateway.responses.job_view import why_no_answer
from gateway.routes.refusals import SUBMIT_ERRORS
from gateway.schemas.jobs import KeyHeader, ModelList, ModelPath, ModelState
from gateway.services import Services, current_services
from gateway.submission import submit
from gateway.submission.chat_request import ANY_MODEL, Chat, receive_chat
from gateway.submission.idempotency import key_of, repeats_itself
from shared import errors
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
    found, who = current_services(), current_tenant()
    asked = receive_chat(request, found.settings)
    _check_model(asked.request.model, found.workers.fresh())
    added = _submitted(asked, found, who, header.idempotency_key)
    # a client repeats itself until an answer begins, and a stream begins at once
    repeats = not asked.request.stream and repeats_itself(request)
    holding = HeldResponse(request, found, who, added.doorbell.job_id, may_return=repeats)
    return _streamed(asked, holding, found) if asked.request.stream else _whole(holding)


def _check_model(name: str, workers: list[Heartbeat]) -> None:
    loaded = {worker.model for worker in workers}
    if loaded and name not in loaded | {ANY_MODEL}:
        known = ", ".join(sorted(loaded))
        raise errors.ModelNotFound(f"There is no model {name!r}; {known} is up.", pointer="/model")


def _submitted(asked: Chat, found: Services, who: str, given_key: str | None) -> StoredJob:
    """Enqueue the chat, or find the job of the same request that its client repeats."""
    key = key_of(request, found, who, given_key)
    added = submit.submit_chat(asked, found, who, key)
    if key is None or not added.replayed or not _pointless(added):
        return added
    found.store.forget_key(who, key)
    return submit.submit_chat(asked, found, who, key)


def _pointless(added: StoredJob) -> bool:
    """Tell whether waiting for an earlier job can bring nothing, because it was stopped."""
    row = added.row()
    return row.cancel or row.status in (JobStatus.CANCELED, JobStatus.EXPIRED)


def _whole(holding: HeldResponse) -> Response:
    patience = KeepAlive.of(request)
    row = holding.until_terminal(patience.quiet_s)
    if not row.status.terminal:
        told = holding.signs_of_life(patience, completion)
        return Response(told, mimetype="application/json")
    if row.status is not JobStatus.SUCCEEDED:
        raise why_no_answer(row)
    return _named(jsonify(completion(row)), row)


def _named(response: Response, row: JobRow) -> Response:
    response.headers["Content-Location"] = f"/v1/jobs/{row.id}"
    return response


def _streamed(asked: Chat, holding: HeldResponse, found: Services) -> Response:
    ping_s = min(found.settings.ping_s, stream_patience_s(request))
    stream = ChatStream(holding, found.events, ping_s=ping_s, with_usage=asked.request.with_usage)
    return Response(
        stream.told(),
        mimetype="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@openai.get("/v1/models", summary="What is loaded?", responses={200: ModelList, **_STORE})
def models() -> dict[str, Any]:
    """Return the models of the workers that are up."""
    seen = {worker.model: worker for worker in current_services().workers.fresh()}
    return {"object": "list", "data": [_model(worker) for worker in seen.values()]}


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
            return _model(worker)
    raise errors.ModelNotFound(f"There is no model {path.model_id!r}.")


def _model(worker: Heartbeat) -> dict[str, Any]:
    return {
        "id": worker.model,
        "object": "model",
        "created": 0,
        "owned_by": "sightline",
        "revision": worker.revision,
        "numerics": worker.numerics,
        "context_tokens": worker.context_tokens,
        "demo": worker.demo,
        "simulated": worker.simulated,
    }

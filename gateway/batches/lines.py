"""A line of a batch's input: read, checked before any work, and submitted as a job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask, g, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.test import EnvironBuilder

from gateway.http.bodies import strict_json
from gateway.http.problems import from_validation
from gateway.services import Services
from gateway.submission.chats.chat import AnswerRequest, Chat
from gateway.submission.chats.parameters import pick_own_parameters
from gateway.submission.chats.request import ChatRequest, receive_chat
from gateway.submission.responses_api.request import ResponseRequest, receive_response
from gateway.submission.submit import submit_chat
from shared.errors import ServiceError
from shared.excerpt import excerpt
from shared.jobs import Priority
from shared.jobs.row import JobRow, dump
from shared.store.access.api_key_types import Caller
from shared.store.access.rate_limits import RateLimits
from shared.store.batch_store import Batch

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
#: The request of a line by the endpoint of its batch.
_REQUESTS: dict[str, type[AnswerRequest]] = {CHAT: ChatRequest, RESPONSES: ResponseRequest}
ENDPOINTS = tuple(_REQUESTS)
#: A batch counts once against the limits of its key, its jobs in hand are few.
_NO_LIMITS = RateLimits()


class BatchLine(BaseModel):
    """A line of a batch's input."""

    model_config = ConfigDict(extra="ignore")

    custom_id: str = Field(min_length=1, max_length=512)
    method: str
    url: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LineError(Exception):
    """Why a line is refused, as OpenAI lists it in a batch's errors."""

    code: str
    message: str
    param: str | None = None


def read_line(raw: bytes, endpoint: str) -> BatchLine:
    """Return a line; raises LineError for what is no request for this endpoint."""
    try:
        line = BatchLine.model_validate(strict_json.parse(raw.strip(), what="The line"))
    except ServiceError as error:
        raise LineError("invalid_json_line", error.detail) from None
    except ValidationError as error:
        refusal = from_validation(error)
        raise LineError("invalid_request_line", refusal.detail, refusal.pointer) from None
    if line.method.upper() != "POST":
        raise LineError("invalid_method", "method must be POST.", "/method")
    if line.url != endpoint:
        detail = f"url is {excerpt(line.url)}, but the batch is for {endpoint}."
        raise LineError("mismatched_endpoint", detail, "/url")
    return line


def check_body(line: BatchLine) -> None:
    """Check the parameters of a line as its endpoint would; raises LineError."""
    try:
        asked = _REQUESTS[line.url].model_validate(line.body)
        pick_own_parameters(asked.model_extra or {})
    except ValidationError as error:
        refusal = from_validation(error, where="/body")
        raise LineError("invalid_parameter", refusal.detail, refusal.pointer) from None
    except ServiceError as error:
        raise LineError("invalid_parameter", error.detail, f"/body{error.pointer or ''}") from None
    if asked.stream:
        raise LineError("invalid_parameter", "A line cannot be streamed.", "/body/stream")


def submit_line(app: Flask, services: Services, batch: Batch, number: int, raw: bytes) -> JobRow:
    """Return the job of a line, which is made once however often this is called.

    Raises a ServiceError of any kind.
    """
    line = read_line(raw, batch.endpoint)
    with _as_request(app, services, batch, number, line):
        if batch.endpoint == CHAT:
            chat = receive_chat(request, services.settings, services.models).chat
        else:
            chat = receive_response(request, services, batch.tenant).chat
        _put_behind(chat)
        key = f"batch:{batch.id}:{number}"
        return submit_chat(chat, services, batch.tenant, key, "").row()


def _put_behind(chat: Chat) -> None:
    """Let the other jobs of the key go first."""
    chat.submission.priority = Priority.LOW


@contextmanager
def _as_request(
    app: Flask, services: Services, batch: Batch, number: int, line: BatchLine
) -> Iterator[None]:
    """Run the block as the request that a line stands for."""
    builder = EnvironBuilder(
        line.url, method="POST", data=dump(line.body), content_type="application/json"
    )
    try:
        with app.request_context(builder.get_environ()):
            g.request_id = f"{batch.id}-{number}"
            g.traced = services.tracing.begin_request(None)
            g.caller = Caller(batch.tenant, "", _NO_LIMITS, _NO_LIMITS, 0.0, None)
            try:
                yield
            finally:
                services.tracing.end_request(g.traced, "POST", line.url, 200)
    finally:
        builder.close()

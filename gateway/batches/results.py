"""The line that a batch's output or error file has of each line of its input."""

from __future__ import annotations

from typing import Any

from gateway.batches.lines import CHAT
from gateway.http.problems import openai_error
from gateway.responses.chats.completion import completion
from gateway.responses.responses_api.view import response_view
from gateway.responses.views.job import why_no_answer
from shared.errors import ServiceError
from shared.jobs import JobStatus
from shared.jobs.row import JobRow, dump
from shared.store.batch_store import Batch


def answer_line(batch: Batch, number: int, custom_id: str, row: JobRow) -> tuple[str, bool]:
    """Return the line of an ended job, and whether it failed."""
    if row.status is not JobStatus.SUCCEEDED:
        return refusal_line(batch, number, custom_id, why_no_answer(row)), True
    body = completion(row) if batch.endpoint == CHAT else response_view(row)
    return _line(batch, number, custom_id, {"status_code": 200, "body": body}), False


def refusal_line(batch: Batch, number: int, custom_id: str, error: ServiceError) -> str:
    """Return the line of a request that was refused or has no answer."""
    response = {"status_code": error.status, "body": {"error": openai_error(error)}}
    return _line(batch, number, custom_id, response)


def expired_line(batch: Batch, number: int, custom_id: str) -> str:
    """Return the line of a request for which there was no time."""
    error = {
        "code": "batch_expired",
        "message": "This request could not be executed before the completion window expired.",
    }
    return _line(batch, number, custom_id, None, error)


def _line(
    batch: Batch,
    number: int,
    custom_id: str,
    response: dict[str, Any] | None,
    error: dict[str, str] | None = None,
) -> str:
    request_id = f"{batch.id}-{number}"
    value = {
        "id": "batch_req_" + request_id.removeprefix("batch_"),
        "custom_id": custom_id,
        "response": response and {"request_id": request_id} | response,
        "error": error,
    }
    # JSON can carry a lone surrogate of a caller, UTF-8 cannot
    return dump(value).encode("utf-8", "backslashreplace").decode() + "\n"

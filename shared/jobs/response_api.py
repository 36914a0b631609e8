"""What a row keeps of OpenAI's Responses API, and how that names a job."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.jobs.model import FinishReason, JobStatus

_JOB, _RESPONSE = "job_", "resp_"
_STATUS = {
    JobStatus.QUEUED: "queued",
    JobStatus.RUNNING: "in_progress",
    JobStatus.SUCCEEDED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.EXPIRED: "failed",
    JobStatus.CANCELED: "cancelled",
}


class ResponseFields(BaseModel):
    """What was asked for and is shown again, but means nothing to a worker."""

    # a newer gateway may have stored more
    model_config = ConfigDict(frozen=True, extra="ignore")

    background: bool = False
    store: bool = True
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | None = None
    max_output_tokens: int | None = None
    truncation: str = "auto"
    #: OpenAI's `text.format`.
    text_format: dict[str, Any] = Field(default_factory=lambda: {"type": "text"})
    #: Messages of the request itself; those before them are of earlier responses.
    own_messages: int = 1


def response_id(job_id: str) -> str:
    """Return the id under which the Responses API knows a job."""
    return _RESPONSE + job_id.removeprefix(_JOB)


def job_id_of(response: str) -> str:
    """Return the job of a response's id."""
    return _JOB + response.removeprefix(_RESPONSE)


def response_status(status: JobStatus, finish_reason: str | None) -> str:
    """Return a job's status in the words of the Responses API."""
    is_whole = finish_reason in (None, FinishReason.STOP)
    return _STATUS[status] if status is not JobStatus.SUCCEEDED or is_whole else "incomplete"

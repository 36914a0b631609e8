"""What names a job in a path, and the queries and headers of its routes."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from gateway.schemas.parameters import Parameters, known_form
from shared.jobs import JobStatus

_JOB_ID = re.compile(r"job_[0-9A-Z]{36}")


class JobPath(Parameters):
    """Names a job."""

    job_id: Annotated[str, known_form(_JOB_ID)] = Field(description="`job_…`")


class WaitQuery(Parameters):
    """Long-poll."""

    wait: str = Field("0", description="Seconds to wait for a change of status or progress.")


class ListQuery(Parameters):
    """A page of jobs, newest first."""

    status: JobStatus | None = None
    session_id: str | None = None
    group: str | None = Field(None, description="Only jobs of this group.")
    limit: int = Field(20, ge=1, le=100)
    after: str | None = Field(
        None, pattern=f"^{_JOB_ID.pattern}$", description="The last ID of the previous page."
    )


class ResultQuery(Parameters):
    """The form of a result."""

    format: (
        Literal["text", "markdown", "json", "html", "csv", "xlsx", "docx", "pdf", "hocr"] | None
    ) = Field(None, description="Overrides `Accept`; plain text if neither names a format.")
    corrected: bool = Field(
        False,
        description="Apply the reviewers' corrections; the header `X-Sightline-Corrections` gives "
        "their number and how many of them this format can show.",
    )


class OverlayQuery(Parameters):
    """The picture whose boxes are drawn."""

    page: int | None = Field(
        None, ge=1, description="Of a document: the number of the page; the first by default."
    )
    image: int | None = Field(
        None, ge=0, description="Of several images: which, from 0; the first by default."
    )
    corrected: bool = Field(
        True,
        description="Show the reviewers' corrections, marked as such; `false` shows the answer as "
        "it was read.",
    )


class EventsQuery(Parameters):
    """Where to resume a stream."""

    starting_after: int = Field(
        0,
        ge=0,
        lt=2**53,
        description="The last event number received. The last event is sent in any case.",
    )


class KeyHeader(Parameters):
    """Headers of everything that submits."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="For 24 hours, requests with the same key and body return the same job.",
    )


class SubmitHeader(KeyHeader):
    """Headers of a submission."""

    prefer: str | None = Field(
        None,
        alias="Prefer",
        description="`wait=N`: respond with 200 if the job ends within N seconds.",
    )

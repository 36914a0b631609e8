"""Makes the JobProfile that admission works with, from a request or from a stored job."""

from __future__ import annotations

from gateway.admission.admission import JobProfile
from gateway.submission.resolve import ResolvedRequest
from shared.jobs import Priority, Reader, TilingTask
from shared.jobs.parameters.route import Route
from shared.jobs.row import JobRow
from shared.store.fleet.forecasts import QueuePosition


def profile_request(
    resolved: ResolvedRequest,
    tenant: str,
    reader: Reader = "model",
    position: QueuePosition | None = None,
    route: Route | None = None,
) -> JobProfile:
    """Return the profile of a request."""
    submission = resolved.submission
    return JobProfile(
        position=position,
        route=route or Route(),
        tenant=tenant,
        priority=submission.priority,
        deadline_s=submission.deadline_s,
        kind=resolved.preset or "ask",
        prompt=resolved.prompt,
        max_new_tokens=resolved.params.max_new_tokens,
        reads=resolved.reads or submission.tiling == "read",
        reader=reader,
        boxes=submission.boxes != "none" or submission.evidence,
    )


def profile_row(row: JobRow, deadline_s: float | None, route: Route) -> JobProfile:
    """Return the profile of a stored job that is submitted again."""
    return JobProfile(
        tenant=row.tenant,
        priority=Priority(row.queue),
        deadline_s=deadline_s,
        kind=row.input.preset or "ask",
        prompt=row.input.prompt,
        max_new_tokens=row.input.params.max_new_tokens,
        reads=row.input.tiling is not None and row.input.tiling.task is TilingTask.READ,
        apart=row.input.document is not None,
        reader=row.input.reader,
        boxes=row.input.wants_places,
        route=route,
    )

"""Enqueues a job once more, from its row."""

from __future__ import annotations

from gateway.services import Services
from gateway.submission.documents.plan import stored_page_infos
from gateway.submission.enqueue import enqueue_job, trace_context
from gateway.submission.planning.job_profile import profile_row
from gateway.submission.webhook import webhook_of_row
from shared.errors import DocumentNotFound, NotFound
from shared.jobs import ImageInfo, Priority
from shared.jobs.row import JobRow
from shared.store import NewJob, StoredJob


def resubmit_job(row: JobRow, services: Services) -> StoredJob:
    """Store and enqueue a new job that asks what `row` asked; raises as submit_request does."""
    deadline_s = _deadline_s(row)
    infos = [ImageInfo.model_validate(image) for image in row.images]
    pages = _page_infos(row, services)
    profile = profile_row(row, deadline_s)
    return enqueue_job(
        NewJob(
            tenant=row.tenant,
            input=row.input,
            priority=Priority(row.queue),
            ttl_s=row.ttl_ms // 1000,
            deadline_s=deadline_s,
            session_id=row.session_id,
            metadata=row.metadata or {},
            images=infos,
            page_tokens=sum(page.tokens for page in pages),
            notices=row.notices[: row.first_notices],
            model=row.model,
            retry_of=row.id,
            prediction=services.admission.admit(profile, [*infos, *pages]),
            webhook=webhook_of_row(row),
            trace=trace_context(),
        ),
        services,
    )


def _page_infos(row: JobRow, services: Services) -> list[ImageInfo]:
    """Return how the model sees the pages of a job's document; raises DocumentNotFound."""
    if row.input.document is None:
        return []
    try:
        header = services.documents.header(row.tenant, row.input.document.id)
    except NotFound:
        raise DocumentNotFound(pointer="/document") from None
    workers = services.admission.forecast().fleet.workers
    return stored_page_infos(row.input, header.info, workers)


def _deadline_s(row: JobRow) -> float | None:
    """Return the seconds that a job may take, or None if it had no deadline but its ttl."""
    allowed_ms = row.expire_ms - row.created_ms
    return None if allowed_ms == row.ttl_ms else allowed_ms / 1000

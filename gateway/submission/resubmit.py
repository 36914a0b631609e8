"""Enqueues a job once more, from its row."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.large_input import give_way
from gateway.services import Services
from gateway.submission.documents.plan import stored_page_infos
from gateway.submission.enqueue import enqueue_job, enqueue_unlimited, trace_context
from gateway.submission.planning.job_profile import profile_row
from gateway.submission.webhook import webhook_of_row
from shared.errors import (
    DocumentNotFound,
    Erased,
    InputError,
    JobTooNew,
    NotFound,
    NotRetryable,
    ServiceError,
    SessionBusy,
)
from shared.jobs import ImageInfo, JobStatus, Priority
from shared.jobs.parameters.route import Route
from shared.jobs.parameters.schedule import DailyWindow, Schedule
from shared.jobs.row import JobRow
from shared.store import NewJob, StoredJob

#: Jobs of a group that one request retries.
_RETRIED_AT_ONCE = 500


def resubmit_job(row: JobRow, services: Services, *, once: bool = False) -> StoredJob:
    """Store and enqueue a new job that asks what `row` asked; raises as submit_request does.

    With `once` there is one such job however often this is called.
    """
    return enqueue_job(_job_again(row, services, trace_context(), once=once), services)


def is_retryable(row: JobRow) -> bool:
    """Tell whether a job has ended without a whole answer."""
    is_partial = bool(row.output and row.output["partial"])
    return row.status in (JobStatus.FAILED, JobStatus.EXPIRED, JobStatus.CANCELED) or (
        row.status is JobStatus.SUCCEEDED and is_partial
    )


def retry_for_operator(row: JobRow, services: Services, trace: Mapping[str, str]) -> str:
    """Store and enqueue a job of any key once more; return the id of the new job.

    There is one such job: it is returned again until it has ended. The limits of its key do not
    hold, its budget does. Raises NotRetryable, and what `Store.add` raises: ImageNotFound and
    DocumentNotFound where its input is gone.
    """
    if not is_retryable(row):
        raise NotRetryable(f"The job is {row.status.value}.")
    stored = enqueue_unlimited(_job_again(row, services, trace, once=True), services)
    if stored.replayed and (again := stored.row()).status.terminal:
        raise NotRetryable(
            f"The job was retried already, as {again.id}, which is {again.status.value}.",
            hint="Look at that job, and retry it if it failed too.",
        )
    return stored.doorbell.job_id


def _job_again(row: JobRow, services: Services, trace: Mapping[str, str], *, once: bool) -> NewJob:
    if services.sessions.has_lost_turns(row):
        raise NotRetryable(
            "The conversation that the job goes on from is gone.",
            hint="Ask again, with the pictures that the question is about.",
        )
    deadline_s = _deadline_s(row)
    infos = [ImageInfo.model_validate(image) for image in row.images]
    route = services.models.route_again(row.route)
    pages = _page_infos(row, route, services)
    profile = profile_row(row, deadline_s, route)
    return NewJob(
        tenant=row.tenant,
        input=row.input,
        priority=Priority(row.queue),
        ttl_s=row.ttl_ms // 1000,
        deadline_s=deadline_s,
        session_id=row.session_id,
        group=row.group,
        schedule=Schedule(window=DailyWindow.parse(row.window) if row.window else None),
        idempotency=(f"retry:{row.id}", "group") if once else None,
        metadata=row.metadata or {},
        images=infos,
        page_tokens=sum(page.tokens for page in pages),
        notices=row.notices[: row.first_notices],
        route=route,
        retry_of=row.id,
        prediction=services.admission.admit(profile, [*infos, *pages]),
        webhook=webhook_of_row(row),
        trace=trace,
    )


def _page_infos(row: JobRow, route: Route, services: Services) -> list[ImageInfo]:
    """Return how the model sees the pages of a job's document; raises DocumentNotFound."""
    if row.input.document is None:
        return []
    try:
        header = services.documents.header(row.tenant, row.input.document.id)
    except NotFound:
        raise DocumentNotFound(pointer="/document") from None
    workers = services.admission.forecast(route).fleet.workers
    return stored_page_infos(row.input, header.info, workers)


def _deadline_s(row: JobRow) -> float | None:
    """Return the seconds that a job may take, or None if it had no deadline but its ttl."""
    allowed_ms = row.expire_ms - row.created_ms
    return None if allowed_ms == row.ttl_ms else allowed_ms / 1000


def retry_group(group_id: str, services: Services, tenant: str) -> tuple[list[str], str | None]:
    """Resubmit the failed jobs of a group, up to `_RETRIED_AT_ONCE`, as long as there is room.

    Returns the new jobs, and the code of the error that left others. Raises that error if it left
    all of them, and StoreUnavailable.
    """
    retried: list[str] = []
    reason = None
    for job_id in services.groups.failed_jobs(tenant, group_id, _RETRIED_AT_ONCE):
        give_way()
        try:
            retried.append(_retry_member(job_id, services, tenant))
        except (NotFound, Erased, JobTooNew):
            # its row has expired, or cannot be read here
            services.groups.forget_failed(tenant, group_id, job_id)
            continue
        except (InputError, SessionBusy) as error:
            # its image is gone, or its conversation is answering; others may do
            reason = error.code
            continue
        except ServiceError as error:
            if not retried:
                raise
            return retried, error.code
        services.groups.forget_failed(tenant, group_id, job_id)
    return retried, reason


def _retry_member(job_id: str, services: Services, tenant: str) -> str:
    row = services.store.get(job_id, tenant)
    return resubmit_job(row, services, once=True).doorbell.job_id

"""Jobs of all keys, workers and the history of the queue as operators see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gateway.responses.views.worker import starting_view
from gateway.schemas.operations import WorkerDetail
from shared.errors import JobFailure, by_code
from shared.jobs import JobStatus
from shared.jobs.view import timestamp
from shared.prediction.heartbeat import Heartbeat
from shared.store.fleet.starting_workers import StartingWorker
from shared.store.operations.job_board import JobSummary
from shared.store.operations.queue_history import HistoryPoint


def board_view(job: JobSummary, names: Mapping[str, str], now_ms: int) -> dict[str, Any]:
    """Return a job; `names` are those of the keys by tenant."""
    status = job.shown_status
    scheduled = status is JobStatus.QUEUED and (job.not_before_ms or 0) > now_ms
    progress = job.progress if status is JobStatus.RUNNING else None
    return {
        "id": job.id,
        "object": "job",
        "status": "scheduled" if scheduled else status.value,
        "key": names.get(job.tenant, job.tenant),
        "kind": job.kind or "warm_up",
        "model": job.model,
        "queue": job.queue,
        "created_at": timestamp(job.created_ms),
        "queued_at": timestamp(job.queued_ms),
        "started_at": timestamp(job.started_ms),
        "completed_at": timestamp(job.completed_ms),
        "not_before": timestamp(job.not_before_ms),
        "age_s": round(max(0, now_ms - job.created_ms) / 1000, 1),
        "size": _size(job),
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "lost": job.lost,
        "worker": job.worker,
        **{name: (progress or {}).get(name) for name in ("stage", "percent", "eta_s")},
        "parts_done": job.tiles_done if job.tiles_total else None,
        "parts": job.tiles_total or None,
        "canceling": job.cancel and not status.terminal,
        "reason": _reason(job),
        "retry_of": job.retry_of,
    }


def _size(job: JobSummary) -> dict[str, Any]:
    usage = job.usage or {}
    return {
        "images": len(job.images),
        "pages": len(job.pages),
        "visual_tokens": sum(int(image.get("tokens") or 0) for image in job.images),
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
    }


def _reason(job: JobSummary) -> dict[str, str] | None:
    if not job.error:
        return None
    code = str(job.error.get("code"))
    return {"code": code, "title": by_code().get(code, JobFailure).title()}


def worker_detail(worker: Heartbeat, *, drained: bool) -> dict[str, Any]:
    """Return a worker with all that operators may know; `drained`: it is asked to take no jobs."""
    own = {name: getattr(worker, name) for name in WorkerDetail.model_fields if name != "object"}
    asked = {"drained": drained, "draining": worker.draining or drained}
    return own | asked | {"object": "worker", "consumes": worker.consumes and list(worker.consumes)}


def starting_detail(worker: StartingWorker) -> dict[str, Any]:
    """Return a worker without a model with all that operators may know."""
    return {
        "object": "starting_worker",
        "name": worker.name,
        **starting_view(worker),
        "reason": worker.reason,
        "reported_at": timestamp(int(worker.reported_s * 1000)),
    }


def point_view(point: HistoryPoint) -> dict[str, Any]:
    """Return one minute of the queue."""
    fields = asdict(point)
    return {"at": timestamp(fields.pop("at_ms")), **fields}

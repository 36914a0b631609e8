"""How a job looks from outside."""

from __future__ import annotations

import datetime as dt
from typing import Any

from gateway.services import Services
from shared.row import JobRow
from shared.workers import wait_s

#: Poll hint while nothing better is known, seconds.
_POLL_S = 2.0


def timestamp(ms: int | None) -> str | None:
    """Return milliseconds since 1970 as RFC 3339 in UTC."""
    if ms is None:
        return None
    moment = dt.datetime.fromtimestamp(ms / 1000, tz=dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_view(row: JobRow, services: Services) -> dict[str, Any]:
    """Return the job as `/v1/jobs/{id}` shows it."""
    path = f"/v1/jobs/{row.id}"
    return {
        "id": row.id,
        "object": "job",
        "status": row.status.value,
        "created_at": timestamp(row.created_ms),
        "started_at": timestamp(row.started_ms),
        "completed_at": timestamp(row.completed_ms),
        "expires_at": timestamp(row.expires_ms),
        "queue": _queue(row, services),
        "progress": _progress(row),
        "input": {"model": row.model, "preset": row.input.preset, "images": list(row.images)},
        "output": row.output,
        "warnings": list(row.notices),
        "usage": row.usage,
        "cache": row.cache,
        "metrics": row.metrics,
        "error": row.error,
        "retry_of": row.retry_of,
        "session_id": row.session_id,
        "metadata": row.metadata or {},
        "urls": {
            "self": path,
            "cancel": f"{path}/cancel",
            "events": f"{path}/events",
            "result": f"{path}/result",
        },
    }


def _queue(row: JobRow, services: Services) -> dict[str, Any]:
    position = services.store.position(row.id) if row.status == "queued" else None
    wait = None if position is None else wait_s(position, services.workers.fresh())
    return {
        "name": row.queue,
        "position": position or 0,
        "wait_s": None if wait is None and position is not None else round(wait or 0.0, 1),
    }


def _progress(row: JobRow) -> dict[str, Any] | None:
    if row.status.terminal:
        return None
    return row.progress


def poll_hint_s(view: dict[str, Any]) -> float:
    """Return after how many seconds it is worth asking again."""
    progress = view["progress"] or {}
    known = progress.get("eta_s") or view["queue"]["wait_s"]
    return min(30.0, float(known)) if known else _POLL_S

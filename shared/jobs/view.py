"""The public JSON of a job: `/v1/jobs/{id}` and the bodies of webhooks."""

from __future__ import annotations

import datetime as dt
from typing import Any

from shared.jobs.answers.review import Correction, Statement
from shared.jobs.document import DocumentInput
from shared.jobs.row import JobRow

#: Characters of a question that its job shows.
_QUESTION_CHARS = 200


def timestamp(ms: int | None) -> str | None:
    """Return milliseconds since 1970 as RFC 3339 in UTC."""
    if ms is None:
        return None
    moment = dt.datetime.fromtimestamp(ms / 1000, tz=dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_view(
    row: JobRow,
    *,
    position: int = 0,
    wait_s: float | None = 0.0,
    eta_s: float | None = None,
    base_url: str = "",
) -> dict[str, Any]:
    """Return the job as `/v1/jobs/{id}` shows it; its URLs begin with `base_url`."""
    return {
        "id": row.id,
        "object": "job",
        "status": row.status.value,
        "created_at": timestamp(row.created_ms),
        "started_at": timestamp(row.started_ms),
        "completed_at": timestamp(row.completed_ms),
        "expires_at": timestamp(row.expires_ms),
        "queue": {"name": row.queue, "position": position, "wait_s": wait_s},
        "eta_s": eta_s,
        "progress": None if row.status.terminal else row.progress,
        "input": {
            "kind": "warm_up" if row.input.encode_only else "question",
            "model": row.model,
            "preset": row.input.preset,
            "question": _beginning(row.input.prompt),
            "images": list(row.images),
            "document": document_view(row.input.document),
        },
        "output": row.output,
        "review": review_view(row),
        "warnings": list(row.notices),
        "usage": row.usage,
        "cache": row.cache,
        "metrics": row.metrics,
        "predicted": _predicted(row),
        "error": row.error,
        "retry_of": row.retry_of,
        "not_before": timestamp(row.not_before_ms),
        "window": row.window,
        "session_id": row.session_id,
        "group": row.group,
        "metadata": row.metadata or {},
        "urls": job_urls(row.id, base_url),
    }


def review_view(row: JobRow) -> dict[str, Any] | None:
    """Return what people have said of a job's answer; None where there is nothing to say.

    A row with the beginning of a long answer has the state alone.
    """
    if not row.review_state:
        return None
    review = {"state": row.review_state, "version": row.review_version}
    if (row.output or {}).get("shortened"):
        return review | dict.fromkeys(("pointers", "corrections", "confirmed"))
    return review | {
        "pointers": row.doubtful_parts,
        "corrections": [correction_view(one) for one in row.review.corrections],
        "confirmed": [_statement(one) for one in row.review.confirmed],
    }


def correction_view(correction: Correction) -> dict[str, Any]:
    """Return what should stand at a place of an answer, and who has said so."""
    earlier = [_statement(one) for one in correction.earlier]
    return _statement(correction) | {"earlier": earlier}


def _statement(statement: Statement) -> dict[str, Any]:
    fields = statement.model_dump(mode="json", exclude={"at_ms", "earlier"})
    return fields | {"at": timestamp(statement.at_ms)}


def _beginning(prompt: str) -> str | None:
    """Return the beginning of a prompt, by which people know a job again."""
    line = " ".join(prompt[: 2 * _QUESTION_CHARS].split())
    if not line:
        return None
    shortened = len(line) > _QUESTION_CHARS or len(prompt) > 2 * _QUESTION_CHARS
    return f"{line[: _QUESTION_CHARS - 1]}…" if shortened else line


def document_view(document: DocumentInput | None) -> dict[str, Any] | None:
    """Return the document of a job and the pages of it that are read."""
    if document is None:
        return None
    return {
        "id": document.id,
        "kind": document.kind,
        "name": document.name,
        "page_count": document.page_count,
        "pages": list(document.pages),
    }


def _predicted(row: JobRow) -> dict[str, float | None] | None:
    predicted = row.predicted
    if not predicted:
        return None
    run_s = row.predicted_run_s
    return {"wait_s": predicted["wait_s"], "run_s": run_s, "total_s": predicted["total_s"]}


def job_urls(job_id: str, base_url: str = "") -> dict[str, str]:
    """Return the URLs to read, cancel and follow a job and to get its result."""
    path = f"{base_url}/v1/jobs/{job_id}"
    return {
        "self": path,
        "cancel": f"{path}/cancel",
        "events": f"{path}/events",
        "result": f"{path}/result",
    }

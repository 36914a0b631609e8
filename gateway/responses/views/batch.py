"""Batches and files as OpenAI's clients see them."""

from __future__ import annotations

from typing import Any

from shared.store.batch_store import UNFINISHED, Batch
from shared.store.uploads.file_store import StoredFile

#: The member that has the time of an end.
_ENDED_AT = {
    "completed": "completed_at",
    "failed": "failed_at",
    "expired": "expired_at",
    "cancelled": "cancelled_at",
}
#: Members of a file that Mistral's client cannot do without.
_MISTRAL = {"sample_type": "ocr_input", "source": "upload", "deleted": False}


def file_view(file: StoredFile) -> dict[str, Any]:
    """Return a file without its content."""
    mistral = _MISTRAL if file.purpose == "ocr" else {}
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_ms // 1000,
        "expires_at": file.expires_ms // 1000,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
        **mistral,
    }


def batch_view(batch: Batch) -> dict[str, Any]:
    """Return a batch; its files are named once they are there."""
    ended = batch.status not in UNFINISHED
    errors = {"object": "list", "data": list(batch.errors)} if batch.errors else None
    ends = dict.fromkeys(_ENDED_AT.values())
    if ended:
        ends[_ENDED_AT[batch.status]] = _seconds(batch.ended_ms)
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": errors,
        "input_file_id": batch.input_file,
        "completion_window": batch.completion_window,
        "status": batch.status,
        "output_file_id": batch.output_file if ended and batch.completed else None,
        "error_file_id": batch.error_file if ended and batch.failed else None,
        "created_at": _seconds(batch.created_ms),
        "in_progress_at": _seconds(batch.in_progress_ms),
        "expires_at": _seconds(batch.expires_ms),
        "finalizing_at": _seconds(batch.ended_ms) if batch.status == "completed" else None,
        **ends,
        "cancelling_at": _seconds(batch.cancelling_ms),
        "request_counts": {
            "total": batch.total,
            "completed": batch.completed,
            "failed": batch.failed,
        },
        "metadata": batch.metadata or {},
    }


def _seconds(ms: int | None) -> int | None:
    return None if ms is None else ms // 1000

"""Submits jobs that a test needs done, whatever a busy machine refuses at first."""

from __future__ import annotations

import uuid
from typing import Any

from tests.support.harness import eventually


def done_once(served: Any, form: dict[str, str], files: dict[str, Any]) -> dict[str, Any]:
    """Return the job that this form makes, once it has ended."""
    headers = {"Prefer": "wait=60", "Idempotency-Key": uuid.uuid4().hex}

    def ended() -> dict[str, Any] | None:
        answer = served.http.post("/v1/jobs", data=form, files=files, headers=headers)
        # a gateway without processor time takes Redis for silent
        if answer.status_code >= 500:
            return None
        job: dict[str, Any] = answer.json()
        return job if job.get("completed_at") or answer.status_code >= 400 else None

    job: dict[str, Any] = eventually(ended)
    return job

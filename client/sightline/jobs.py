"""A job in the caller's hands, and the answer that comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sightline.errors import job_failed
from sightline.types import TERMINAL, JobData, JobStatus


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a job that succeeded; `str(answer)` is its text."""

    text: str
    #: What the text is as JSON, where the submission asked for JSON.
    json: Any
    #: What the rules of `postprocess` found, in order of appearance.
    fields: dict[str, list[str]]
    #: `stop`, `length` (cut at `max_new_tokens`) or `loop`.
    finish_reason: str
    #: How sure the model was of its words, 0 to 1; None without a model.
    confidence: float | None
    #: All that is known of the job.
    job: JobData = field(repr=False)

    def __str__(self) -> str:
        return self.text


def answer_of(job: JobData) -> Answer:
    """Return the answer of an ended job; raises JobFailed."""
    output = job["output"]
    if job["status"] != "succeeded" or output is None:
        raise job_failed(job)
    return Answer(
        text=output["text"],
        json=output["json"],
        fields=output["fields"],
        finish_reason=output["finish_reason"],
        confidence=output.get("confidence"),
        job=job,
    )


class JobView:
    """What is known of a job; `data` is all of it, as of the last look."""

    def __init__(self, data: JobData, *, replayed: bool = False) -> None:
        self.data = data
        #: This submission's Idempotency-Key had the job already.
        self.replayed = replayed

    @property
    def id(self) -> str:
        """Return its id, `job_…`."""
        return self.data["id"]

    @property
    def status(self) -> JobStatus:
        """Return its status as of the last look."""
        return self.data["status"]

    @property
    def ended(self) -> bool:
        """Tell whether its status can no longer change."""
        return self.status in TERMINAL

    @property
    def text(self) -> str:
        """Return what is answered; of a canceled job, what was answered until then."""
        output = self.data["output"]
        return output["text"] if output else ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status}>"

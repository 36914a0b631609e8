"""The data of a job as both clients show it, and the answer of a job that succeeded."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sightline._pages import Page, pages_of
from sightline.errors import job_failed
from sightline.types import TERMINAL, EvidenceData, FoundObject, JobData, JobStatus


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a job that succeeded; `str(answer)` is its text."""

    text: str
    #: The text parsed as JSON, if the submission asked for JSON.
    json: Any
    #: Values that the rules of `postprocess` extracted, in order of appearance.
    fields: dict[str, list[str]]
    #: `stop`, `length` (cut at `max_new_tokens`) or `loop`.
    finish_reason: str
    #: Confidence of the model in its words, 0 to 1; None without a model.
    confidence: float | None
    #: The whole job.
    job: JobData = field(repr=False)

    @property
    def reasoning(self) -> str | None:
        """Return what the model has thought before it answered; None where it did not."""
        output: Mapping[str, Any] = self.job["output"] or {}
        return output.get("reasoning")

    @property
    def truncated(self) -> bool:
        """Tell whether it was cut off at `max_new_tokens`, so that more may follow."""
        return self.finish_reason == "length"

    @property
    def images(self) -> list[str]:
        """Return the text of each image, where the text of several was asked for."""
        output: Mapping[str, Any] = self.job["output"] or {}
        return [image["text"] for image in output.get("images") or ()]

    @property
    def evidence(self) -> dict[str, EvidenceData]:
        """Return where the values of `json` are printed, by JSON pointer; with `evidence`."""
        output: Mapping[str, Any] = self.job["output"] or {}
        return dict(output.get("evidence") or {})

    @property
    def objects(self) -> list[FoundObject]:
        """Return each place of what `find` looked for; [] where nothing was found."""
        output: Mapping[str, Any] = self.job["output"] or {}
        return list(output.get("objects") or ())

    @property
    def pages(self) -> list[Page]:
        """Return the pages of a document in their order; a picture is one page."""
        return pages_of(self.job)

    def __str__(self) -> str:
        return self.text


class TruncatedAnswer(UserWarning):
    """An answer was cut off at `max_new_tokens`; ask again with a larger one."""


def warned_answer(job: JobData) -> Answer:
    """Return the answer of an ended job, with a warning for one that was cut off.

    Raises JobFailed.
    """
    answer = answer_of(job)
    if answer.truncated:
        message = f"The answer of {job['id']} was cut off: ask again with a larger max_new_tokens."
        warnings.warn(TruncatedAnswer(message), stacklevel=3)
    return answer


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
    """A job as it was last read; `data` is all of it."""

    def __init__(self, data: JobData, *, replayed: bool = False) -> None:
        self.data = data
        #: Whether an earlier submission with the same Idempotency-Key created the job.
        self.replayed = replayed

    @property
    def id(self) -> str:
        """Return its id, `job_…`."""
        return self.data["id"]

    @property
    def status(self) -> JobStatus:
        """Return its status as it was last read."""
        return self.data["status"]

    @property
    def ended(self) -> bool:
        """Tell whether its status can no longer change."""
        return self.status in TERMINAL

    @property
    def text(self) -> str:
        """Return the answer; of a canceled job, the part written until then."""
        output = self.data["output"]
        return output["text"] if output else ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status}>"

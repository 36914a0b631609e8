"""What Mistral's OCR is to say about a document and its figures: questions of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gateway.admission.constraints import ConstraintChecker
from gateway.submission.fields.submission import Submission
from gateway.submission.request import ReceivedRequest, check_limits, validate_fields
from shared.errors import BadParameters, ServiceError
from shared.jobs.row import JobRow
from shared.settings import Settings

#: Parameters of a reading that a question about the same document shares.
_SHARED = frozenset(
    (
        *("enhance", "detail", "max_pixels", "dpi", "text_layer", "metadata", "priority"),
        *("ttl_s", "deadline_s", "model", "wait_for_model"),
    )
)
_DOCUMENT_ONLY = ("dpi", "text_layer")
_FORMS = ("json_schema", "json_object")
_ABOUT_DOCUMENT = "Take from this document what the schema asks for. Answer with JSON alone."
_ABOUT_FIGURE = "Describe this picture in the form that the schema asks for, with JSON alone."


@dataclass(frozen=True, slots=True)
class Annotations:
    """The forms of the texts about a document and about each of its figures; None for no text."""

    document: Mapping[str, Any] | None = None
    prompt: str | None = None
    figures: Mapping[str, Any] | None = None


def check_annotation_format(name: str, form: Mapping[str, Any] | None) -> None:
    """Raise BadParameters for a form of an annotation that cannot be held."""
    if form is not None and form.get("type") not in _FORMS:
        raise BadParameters(
            f"{name}: annotations have the type json_schema or json_object.",
            pointer=f"/{name}/type",
            hint="For free text, ask POST /v1/chat/completions about the document.",
        )


def ask_about_document(
    annotations: Annotations, row: JobRow, own: Mapping[str, Any], settings: Settings
) -> ReceivedRequest[Submission]:
    """Return the question about what a job reads; raises BadParameters and BadConstraint."""
    document = row.input.document
    shared = {name: value for name, value in own.items() if name in _SHARED}
    if document:
        shared["pages"] = [str(number) for number in document.pages]
        contents = [document.id]
    else:
        shared = {n: value for n, value in shared.items() if n not in _DOCUMENT_ONLY}
        contents = list(row.input.images)
    fields = {"prompt": annotations.prompt or _ABOUT_DOCUMENT, "images": contents}
    return _question(fields | shared, annotations.document, settings)


def ask_about_figure(
    annotations: Annotations, picture: str, own: Mapping[str, Any], settings: Settings
) -> ReceivedRequest[Submission]:
    """Return the question about a figure, given as a data: URI; raises BadParameters."""
    kept = _SHARED.difference(_DOCUMENT_ONLY)
    shared = {name: value for name, value in own.items() if name in kept}
    fields = {"prompt": _ABOUT_FIGURE, "images": [picture]}
    return _question(fields | shared, annotations.figures, settings)


def _question(
    fields: dict[str, Any], form: Mapping[str, Any] | None, settings: Settings
) -> ReceivedRequest[Submission]:
    fields |= {"response_format": form, "max_new_tokens": settings.answer_max_tokens}
    submission = validate_fields(fields, Submission)
    check_limits(submission, 0, settings)
    return ReceivedRequest(submission, [])


def check_annotations(annotations: Annotations, checker: ConstraintChecker) -> None:
    """Raise BadParameters or BadConstraint for a form that no answer can have.

    Otherwise that of figures would be told only where a document has one.
    """
    for member, form in (
        ("document_annotation_format", annotations.document),
        ("bbox_annotation_format", annotations.figures),
    ):
        if form is not None:
            with in_terms_of(member):
                fields = {"prompt": _ABOUT_FIGURE, "response_format": form}
                checker.check(validate_fields(fields, Submission).params())


@contextmanager
def in_terms_of(member: str) -> Iterator[None]:
    """Let errors about a form point to the member of the request that has it."""
    try:
        yield
    except ServiceError as error:
        pointer = error.pointer or ""
        if pointer.startswith("/response_format"):
            error.pointer = f"/{member}" + pointer.removeprefix("/response_format")
            error.detail = error.detail.replace("response_format", member, 1)
        raise

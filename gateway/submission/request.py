"""The request for a job: its parameters and the image files beside them, within the limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from flask import Request
from pydantic import ValidationError
from werkzeug.datastructures import FileStorage

from gateway.http.bodies.members import cut_words, drop_nulls, refuse_strange_members
from gateway.http.problems import from_validation
from gateway.large_input import give_way
from gateway.submission.body import form_files, is_form, is_json, parse_form, parse_json_object
from gateway.submission.fields.submission import Submission
from shared.errors import BadParameters, UnsupportedMediaType
from shared.settings import Settings

S = TypeVar("S", bound=Submission)


@dataclass(frozen=True, slots=True)
class ReceivedRequest(Generic[S]):
    """A parsed request: its parameters and the files beside them."""

    submission: S
    files: list[FileStorage]


def receive_request(request: Request, settings: Settings, model: type[S]) -> ReceivedRequest[S]:
    """Parse a request of any accepted content type.

    Raises InvalidJson, UnsupportedMediaType, BadParameters.
    """
    if is_form(request):
        fields, files = parse_form(request), form_files(request)
    elif is_json(request):
        fields, files = parse_json_object(request), []
    else:
        raise UnsupportedMediaType
    submission = validate_fields(fields, model)
    check_limits(submission, len(files), settings)
    return ReceivedRequest(submission, files)


def validate_fields(fields: dict[str, Any], model: type[S]) -> S:
    """Return the fields as a submission whose parameters fit together; raises BadParameters."""
    refuse_strange_members(fields, model)
    fields = cut_words(drop_nulls(fields, model), model)
    give_way()
    try:
        submission = model.model_validate(fields)
        submission.params()
    except ValidationError as error:
        raise from_validation(error) from None
    return submission


def check_limits(submission: Submission, files: int, settings: Settings) -> None:
    """Raise BadParameters where a submission with so many files passes a limit of the service."""
    count = len(submission.images) + files + (submission.document is not None)
    if count > settings.images_per_request:
        raise BadParameters(
            f"{count} images; the limit is {settings.images_per_request}.", pointer="/images"
        )
    if len(submission.prompt or "") > settings.prompt_max_chars:
        raise BadParameters(
            f"prompt has {len(submission.prompt or '')} characters; "
            f"the limit is {settings.prompt_max_chars}.",
            pointer="/prompt",
        )
    for name in ("max_new_tokens", "max_reasoning_tokens"):
        is_named = name in submission.model_fields_set
        if is_named and (getattr(submission, name) or 0) > settings.answer_max_tokens:
            raise BadParameters(
                f"{name} must be at most {settings.answer_max_tokens}.", pointer=f"/{name}"
            )
    if submission.ttl_s is not None and submission.ttl_s > settings.job_ttl_max_s:
        raise BadParameters(f"ttl_s must be at most {settings.job_ttl_max_s}.", pointer="/ttl_s")

"""Errors as HTTP responses: RFC 9457 problem+json that also carries OpenAI's error member."""

from __future__ import annotations

import errno
import json
import logging
import math
import re
from typing import Any

from flask import Flask, Response, g, request
from gunicorn.http.errors import ParseException
from pydantic import BaseModel, Field, ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect

from gateway.http import mistral_errors
from gateway.http.base_path import link_base
from gateway.http.foreign_paths import find_what_serves
from gateway.http.pages.problem_page import problem_page, wants_page
from shared import errors
from shared.errors import ServiceError
from shared.excerpt import excerpt

_log = logging.getLogger(__name__)

MIMETYPE = "application/problem+json"
#: OpenAI's clients give up on a longer Retry-After.
MAX_RETRY_AFTER_S = 120
#: Of the path that is quoted: longer than any of ours.
_MAX_PATH_CHARS = 300

#: No files left to open, or no space on the disk for an upload.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT)
_BY_STATUS: dict[int, type[ServiceError]] = {
    400: errors.InputError,
    413: errors.PayloadTooLarge,
    415: errors.UnsupportedMediaType,
}


class OpenAIError(BaseModel):
    """What OpenAI's clients read of an error."""

    message: str
    type: str
    param: str | None = None
    code: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="Path of the error's documentation.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request.")
    code: str = Field(description="Stable error code.")
    pointer: str | None = Field(
        None, description="JSON pointer to the part of the request that caused the error."
    )
    hint: str = Field(description="How to fix it.")
    request_id: str
    error: OpenAIError


def retry_after(seconds: float | None) -> str:
    """Return a Retry-After value: whole seconds, between 1 and what clients accept."""
    return str(min(MAX_RETRY_AFTER_S, max(1, math.ceil(seconds or 1))))


def problem_body(error: ServiceError, instance: str, request_id: str, base: str = "") -> bytes:
    """Return the JSON body of an error at the path `instance`; links begin with `base`."""
    body = {
        "type": f"{base}/docs/errors#{error.code}",
        "title": error.title(),
        "status": error.status,
        "detail": error.detail,
        "instance": excerpt(instance, _MAX_PATH_CHARS),
        "code": error.code,
        "pointer": error.pointer,
        "hint": error.hint_text,
        "request_id": request_id,
        "error": openai_error(error),
        **error.extra,
    }
    # a detail may quote half a surrogate pair: JSON can express it, UTF-8 cannot
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")


def openai_error(error: ServiceError) -> dict[str, Any]:
    """Return the error object that OpenAI's clients read."""
    error_type = "invalid_request_error" if error.status < 500 else "server_error"
    return {
        "message": f"{error.detail} {error.hint_text}",
        "type": "rate_limit_error" if error.status == 429 else error_type,
        "param": error.pointer,
        "code": error.openai_code or error.code,
    }


def problem(error: ServiceError) -> Response:
    """Return the response of an error, and note the error for the log line of the request."""
    g.refusal = error
    response = _shown_error(error)
    if error.status in (429, 503, 504):
        response.headers["Retry-After"] = retry_after(error.retry_after_s)
    if error.status == 409 or isinstance(error, errors.JobFailure):
        # OpenAI's clients would retry them: a conflict does not go away, and a failed job has
        # had all its attempts
        response.headers["x-should-retry"] = "false"
    return response


def _shown_error(error: ServiceError) -> Response:
    """Return an error in the form that the clients of this path read."""
    response = problem_page(error) if wants_page() else _problem_document(error)
    if request.method in ("GET", "HEAD"):
        response.vary.add("Accept")
    return response


def _problem_document(error: ServiceError) -> Response:
    base, request_id = link_base(), g.get("request_id", "")
    if request.path in mistral_errors.PATHS:
        body = mistral_errors.error_body(error, openai_error(error), request_id)
        return Response(body, error.status, mimetype=mistral_errors.MIMETYPE)
    body = problem_body(error, base + request.path, request_id, base)
    return Response(body, error.status, mimetype=MIMETYPE)


_FIRST_FAILURE = json.JSONDecoder()
_OBJECT = re.compile(r"a valid dictionary( or instance of \w+)?")
#: How pydantic names one of several forms of a value, which is no part of the body.
_ALTERNATIVE = re.compile(
    r"(constrained-)?(str|int|float|bool|bytes|dict|list|none)|[a-z-]+\[.*\]|[A-Z][A-Za-z]+",
    re.DOTALL,
)


def from_validation(error: ValidationError, *, where: str = "") -> ServiceError:
    """Return the first failure of a model as BadParameters with a pointer below `where`."""
    # a value may have thousands of failures, which would all become objects
    text = error.json(include_url=False, include_input=False, include_context=False)
    first, _ = _FIRST_FAILURE.raw_decode(text, 1)
    is_unknown = first["type"] == "extra_forbidden"
    pointer = where + "".join(f"/{excerpt(part)}" for part in _places(first["loc"], is_unknown))
    name = pointer.lstrip("/") or "body"
    if is_unknown:
        return errors.BadParameters(f"Unknown parameter: {name}.", pointer=pointer)
    message = _OBJECT.sub("an object", first["msg"].removeprefix("Value error, "))
    return errors.BadParameters(f"{name}: {excerpt(message, 500)}.", pointer=pointer)


def _places(parts: list[str | int], is_unknown: bool) -> list[str | int]:
    """Return the parts of a place that stand in the body; the name of an unknown member is one."""
    last = len(parts) - 1
    return [
        part
        for at, part in enumerate(parts)
        if (is_unknown and at == last)
        or not (isinstance(part, str) and _ALTERNATIVE.fullmatch(part))
    ]


def refuse_redirect() -> None:
    """Raise NotFound for a path that is almost one of ours.

    The framework would redirect it, to the host that the client names and maybe not to us.
    """
    if isinstance(request.routing_exception, RequestRedirect):
        raise errors.NotFound(
            "There is no such path.", hint="Write one slash between its parts, and none at its end."
        )


def _what_serves() -> str:
    # not the whole of a long path, which a pattern would be matched against
    return find_what_serves(request.path[:_MAX_PATH_CHARS])


def _http_error(error: HTTPException) -> Response:
    if isinstance(error.response, Response):
        # abort(response) carries a finished answer, as the validation callback does
        return error.response
    if isinstance(error, NotFound):
        return problem(errors.NotFound("This path does not exist.", hint=_what_serves()))
    if isinstance(error, MethodNotAllowed):
        response = problem(errors.MethodNotAllowed(hint=_what_serves()))
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response
    status = error.code or 500
    error_class = _BY_STATUS.get(status, errors.InputError if status < 500 else ServiceError)
    return problem(error_class(None if status == 413 else error.description))


def _invalid_http(error: ParseException) -> Response:
    """Answer a body whose framing is broken, such as a chunk without a size."""
    response = problem(errors.InputError(f"The request is not valid HTTP: {excerpt(error)}."))
    response.headers["Connection"] = "close"
    return response


def _crash(error: Exception) -> Response:
    if isinstance(error, OSError) and error.errno in _EXHAUSTED:
        _log.error("gateway.exhausted", extra={"cause": str(error)})
        return problem(
            errors.Unavailable("The gateway's machine has no room for it.", retry_after_s=5)
        )
    _log.exception("request.crashed", exc_info=error)
    return problem(ServiceError())


def install(app: Flask) -> None:
    """Answer every error of the app with a problem."""
    app.register_error_handler(ServiceError, problem)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(ParseException, _invalid_http)
    app.register_error_handler(Exception, _crash)


def documented(*error_classes: type[ServiceError]) -> dict[int, Any]:
    """Return the OpenAPI responses for these errors, one for each status."""
    by_status: dict[int, list[str]] = {}
    for error in error_classes:
        by_status.setdefault(error.status, []).append(f"`{error.code}`: {error.title()}")
    return {
        status: {
            "description": " ".join(lines),
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
        }
        for status, lines in sorted(by_status.items())
    }

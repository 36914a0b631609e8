"""An error as a page, for browsers; programs get the problem as JSON."""

from __future__ import annotations

import re

from flask import Response, g, request

from gateway.http.pages.documents import explain_error
from gateway.http.pages.frame import load_words, render_page
from shared.errors import ServiceError

_PROBLEM_KINDS = ("application/json", "application/problem+json")
#: What a browser that is led to a place accepts, and hardly any program.
_OF_BROWSERS = "application/xhtml+xml"
#: Programs ask for results as HTML too.
_RESULT = re.compile(r"/v1/jobs/[^/]+/result")


def wants_page() -> bool:
    """Tell whether this request prefers a page to JSON, as browsers do that are led to a place."""
    if request.method not in ("GET", "HEAD"):
        return False
    accepted = request.accept_mimetypes
    if _RESULT.fullmatch(request.path) and not _names(_OF_BROWSERS):
        return False
    return accepted["text/html"] > max(accepted[kind] for kind in _PROBLEM_KINDS)


def problem_page(error: ServiceError) -> Response:
    """Return the page of an error, in the language of the browser."""
    message, hint = explain_error(error)
    response = render_page(
        "documents/problem.html",
        w=load_words("documents"),
        error=error,
        message=message,
        hint=hint,
        request_id=g.get("request_id", ""),
    )
    response.status_code = error.status
    response.headers["Cache-Control"] = "no-store"
    return response


def _names(kind: str) -> bool:
    return any(name == kind for name, _ in request.accept_mimetypes)

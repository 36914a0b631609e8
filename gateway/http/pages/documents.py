"""The pages below `/docs`: where to find what, every error code, and how to get a model."""

from __future__ import annotations

from flask import Flask, Response

from gateway.http.pages.frame import choose_language, load_words, render_page
from shared.errors import ServiceError, by_code

_FOLDER = "documents"


def add_documents(app: Flask) -> None:
    """Serve the pages; each problem's `type` links to the one of errors."""
    app.add_url_rule("/docs", "docs", _show_index)
    # the framework has a list of its own here
    app.view_functions["openapi.openapi"] = _show_index
    app.add_url_rule("/docs/errors", "errors", _show_errors)
    app.add_url_rule("/docs/models", "models", _show_models)


def explain_error(error: ServiceError) -> tuple[str, str]:
    """Return what happened and what to do, in the language of this request.

    The Chinese sentences are those of the code; the English ones are of this very error.
    """
    return _translate(error.code) or (error.detail, error.hint_text)


def _show_index() -> Response:
    return render_page(f"{_FOLDER}/index.html", w=load_words(_FOLDER))


def _show_models() -> Response:
    return render_page(f"{_FOLDER}/models.html", w=load_words(_FOLDER))


def _show_errors() -> Response:
    classes = [error for _, error in sorted(by_code().items())]
    explained = [
        (error, *(_translate(error.code) or (error.title(), error.hint))) for error in classes
    ]
    return render_page(f"{_FOLDER}/errors.html", w=load_words(_FOLDER), errors=explained)


def _translate(code: str) -> tuple[str, str] | None:
    """Return what a code means and what to do, where this request is not in English."""
    if choose_language() == "en":
        return None
    message, hint = load_words()["errors"].get(code, (None, None))
    return (message, hint) if message else None

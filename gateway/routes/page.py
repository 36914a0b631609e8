"""The web page at `/` in English or Chinese, and its assets."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, send_from_directory

from gateway.http.pages.frame import (
    A_YEAR_S,
    ASSETS,
    HOME,
    assets_version,
    choose_language,
    load_words,
    render_page,
)
from gateway.images.formats import accepted_formats
from gateway.services import current_services
from shared.catalog.presets import BUILT_IN
from shared.jobs.parameters.enhancement import EnhanceStep

_LENGTHS = (32, 128, 512, 1024, 2048, 4096, 8192, 16_384)
_BUILT_IN_NAMES = {preset.name for preset in BUILT_IN}

page = Blueprint("page", __name__, template_folder=str(HOME))


@page.get("/")
def show() -> Response:
    """Return the page in the language of `?lang=`, else of the cookie, else of the browser."""
    words = load_words()
    return render_page(
        "page.html",
        t=words,
        told=_page_data(choose_language(), words),
        steps=list(EnhanceStep),
        lengths=_answer_lengths(current_services().settings.answer_max_tokens),
    )


def _page_data(language: str, words: dict[str, Any]) -> dict[str, Any]:
    """Return what the page's scripts need to know, as its JSON."""
    services = current_services()
    return {
        "language": language,
        "words": words,
        "max_images": services.settings.images_per_request,
        "max_bytes": services.settings.upload_max_bytes,
        "max_document_bytes": services.settings.document_max_bytes,
        "max_tokens": services.settings.answer_max_tokens,
        "reading": [preset.name for preset in services.presets.values() if preset.reads],
        "presets": [
            {
                "name": preset.name,
                "own": preset.name not in _BUILT_IN_NAMES,
                "needs": sorted(preset.needs),
                "description": preset.description,
            }
            for preset in services.presets.values()
        ],
        "max_prompt_chars": services.settings.prompt_max_chars,
        "formats": list(accepted_formats()),
        "enhance_steps": list(EnhanceStep),
    }


def _answer_lengths(most: int) -> list[int]:
    """Return the bounds of an answer that the page offers, in tokens; the last is the service's."""
    return [*(length for length in _LENGTHS if length < most), most]


@page.get("/assets/<version>/<path:name>")
def asset(version: str, name: str) -> Response:
    """Return a file of the page; the current version of it may be cached for a year."""
    response = send_from_directory(ASSETS, name)
    is_current = version == assets_version()
    response.headers["Cache-Control"] = (
        f"public, max-age={A_YEAR_S}, immutable" if is_current else "no-store"
    )
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    return response


@page.get("/favicon.ico")
def favicon() -> Response:
    """Return the icon at the path that browsers try by themselves."""
    return send_from_directory(ASSETS, "icon.svg")

"""The web page at `/` in English or Chinese, and its assets."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, send_from_directory

from gateway.http.base_path import link_base
from gateway.images.formats import accepted_formats
from gateway.services import current_services
from shared.catalog.presets import BUILT_IN
from shared.jobs.enhancement import EnhanceStep

_HOME = Path(__file__).resolve().parent.parent / "webui"
_ASSETS = _HOME / "assets"
#: Own files only, nothing inline, no frames.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Language, Cookie",
}
_LANGUAGES = ("en", "zh")
_THEMES = ("light", "dark")
_A_YEAR_S = 365 * 86_400
_LENGTHS = (32, 128, 512, 1024, 2048, 4096, 8192, 16_384)
_BUILT_IN_NAMES = {preset.name for preset in BUILT_IN}

page = Blueprint("page", __name__, template_folder=str(_HOME))


@page.get("/")
def show() -> Response:
    """Return the page in the language of `?lang=`, else of the cookie, else of the browser."""
    language = _choose_language()
    words = _load_words()[language]
    theme = request.cookies.get("theme")
    html = render_template(
        "page.html",
        t=words,
        lang="zh-Hans" if language == "zh" else "en",
        other="en" if language == "zh" else "zh",
        theme=theme if theme in _THEMES else None,
        base=link_base(),
        assets=f"{link_base()}/assets/{_assets_version()}",
        told=_page_data(language, words),
        steps=list(EnhanceStep),
        lengths=_answer_lengths(current_services().settings.answer_max_tokens),
    )
    response = make_response(html)
    response.headers.update(_HEADERS)
    if request.args.get("lang") in _LANGUAGES:
        response.set_cookie("lang", language, max_age=_A_YEAR_S, samesite="Lax")
    return response


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
    response = send_from_directory(_ASSETS, name)
    is_current = version == _assets_version()
    response.headers["Cache-Control"] = (
        f"public, max-age={_A_YEAR_S}, immutable" if is_current else "no-store"
    )
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    return response


@page.get("/favicon.ico")
def favicon() -> Response:
    """Return the icon at the path that browsers try by themselves."""
    return send_from_directory(_ASSETS, "icon.svg")


def _choose_language() -> str:
    for language in (request.args.get("lang"), request.cookies.get("lang")):
        if language in _LANGUAGES:
            return str(language)
    return request.accept_languages.best_match(_LANGUAGES, default="en") or "en"


@functools.cache
def _load_words() -> dict[str, dict[str, Any]]:
    return {
        language: json.loads((_HOME / f"words.{language}.json").read_text(encoding="utf-8"))
        for language in _LANGUAGES
    }


@functools.cache
def _assets_version() -> str:
    """Return a hash of all assets."""
    digest = hashlib.sha256()
    for path in sorted(path for path in _ASSETS.rglob("*") if path.is_file()):
        name = path.relative_to(_ASSETS).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]

"""The page at `/`: its HTML in the reader's language, and the files that it needs."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, send_from_directory

from gateway.services import current_services
from shared.catalog.presets import BUILT_IN

_HOME = Path(__file__).resolve().parent.parent / "webui"
_ASSETS = _HOME / "assets"
#: Nothing from elsewhere, nothing inline, nothing framed.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_LANGUAGES = ("en", "zh")
_THEMES = ("light", "dark")
_A_YEAR_S = 365 * 86_400

page = Blueprint("page", __name__, template_folder=str(_HOME))


@page.get("/")
def show() -> Response:
    """Return the page; `?lang=` chooses its language, else the cookie or the browser does."""
    language = _language()
    words = _words()[language]
    services = current_services()
    built_in = {preset.name for preset in BUILT_IN}
    page_data = {
        "language": language,
        "words": words,
        "max_images": services.settings.images_per_request,
        "max_bytes": services.settings.upload_max_bytes,
        "presets": [
            {"name": preset.name, "own": preset.name not in built_in}
            for preset in services.presets.values()
            if not preset.needs
        ],
    }
    theme = request.cookies.get("theme")
    html = render_template(
        "page.html",
        t=words,
        lang="zh-Hans" if language == "zh" else "en",
        other="en" if language == "zh" else "zh",
        theme=theme if theme in _THEMES else None,
        assets=f"/assets/{_version()}",
        told=page_data,
    )
    response = make_response(html)
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Vary"] = "Accept-Language, Cookie"
    if request.args.get("lang") in _LANGUAGES:
        response.set_cookie("lang", language, max_age=_A_YEAR_S, samesite="Lax")
    return response


@page.get("/assets/<version>/<path:name>")
def asset(version: str, name: str) -> Response:
    """Return a file of the page; one of the present version may be kept for ever."""
    response = send_from_directory(_ASSETS, name)
    current = version == _version()
    response.headers["Cache-Control"] = (
        f"public, max-age={_A_YEAR_S}, immutable" if current else "no-store"
    )
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    return response


@page.get("/favicon.ico")
def favicon() -> Response:
    """Return the icon where browsers look for it unasked."""
    return send_from_directory(_ASSETS, "icon.svg")


def _language() -> str:
    for named in (request.args.get("lang"), request.cookies.get("lang")):
        if named in _LANGUAGES:
            return str(named)
    return request.accept_languages.best_match(_LANGUAGES, default="en") or "en"


@functools.cache
def _words() -> dict[str, dict[str, Any]]:
    return {
        language: json.loads((_HOME / f"words.{language}.json").read_text(encoding="utf-8"))
        for language in _LANGUAGES
    }


@functools.cache
def _version() -> str:
    """Return what changes whenever a file of the page does."""
    digest = hashlib.sha256()
    for path in sorted(_ASSETS.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]

"""What every HTML page of the service shares: language, theme, words, assets and headers."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from flask import Response, make_response, render_template, request

from gateway.http.base_path import link_base

HOME = Path(__file__).resolve().parents[2] / "webui"
ASSETS = HOME / "assets"
#: Own files only, nothing inline, no frames.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_LANGUAGES = ("en", "zh")
_THEMES = ("light", "dark")
A_YEAR_S = 365 * 86_400


def choose_language() -> str:
    """Return the language of `?lang=`, else of the cookie, else of the browser."""
    for language in (request.args.get("lang"), request.cookies.get("lang")):
        if language in _LANGUAGES:
            return str(language)
    return request.accept_languages.best_match(_LANGUAGES, default="en") or "en"


def load_words(folder: str = "") -> dict[str, Any]:
    """Return the words of a folder of the pages, in the language of this request."""
    return _read_words(folder, choose_language())


def render_page(template: str, **values: Any) -> Response:
    """Return a page in the language and theme of this request."""
    language = choose_language()
    theme = request.cookies.get("theme")
    html = render_template(
        template,
        lang="zh-Hans" if language == "zh" else "en",
        other="en" if language == "zh" else "zh",
        theme=theme if theme in _THEMES else None,
        base=link_base(),
        assets=f"{link_base()}/assets/{assets_version()}",
        **values,
    )
    response = make_response(html)
    response.headers.update(_HEADERS)
    response.vary.update(("Accept-Language", "Cookie"))
    if request.args.get("lang") in _LANGUAGES:
        response.set_cookie("lang", language, max_age=A_YEAR_S, samesite="Lax")
    return response


@functools.cache
def assets_version() -> str:
    """Return a hash of all assets."""
    digest = hashlib.sha256()
    for path in sorted(path for path in ASSETS.rglob("*") if path.is_file()):
        name = path.relative_to(ASSETS).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@functools.cache
def _read_words(folder: str, language: str) -> dict[str, Any]:
    path = HOME / folder / f"words.{language}.json"
    words: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return words

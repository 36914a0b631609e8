"""Lets pages of the origins that the operator lists use the API from a browser."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import Request, Response

from shared.settings import Settings

_ANY = "*"
_METHODS = "GET, HEAD, POST, DELETE"
#: What a page may read of an answer beside its body and what every page may.
_EXPOSED = ", ".join(
    (
        *("X-Request-Id", "Retry-After", "Location", "Content-Location", "Idempotency-Replayed"),
        *("Preference-Applied", "X-Sightline-Warnings", "RateLimit", "RateLimit-Policy"),
        *("X-Sightline-Incomplete", "X-Sightline-Corrections"),
    )
)
#: Names of headers, as a browser lists those that a page wants to send.
_NAMES = re.compile(r"[A-Za-z0-9\-]{1,64}( ?, ?[A-Za-z0-9\-]{1,64}){0,63}")
#: Seconds for which a browser need not ask again.
_MAX_AGE_S = 600


def has_key(request: Request) -> bool:
    """Tell whether a request carries a key, be it right or wrong."""
    return bool(request.headers.get("Authorization") or request.headers.get("X-API-Key"))


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """Which origins may use the API; cookies are never accepted, so keys stay with their pages."""

    origins: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> CorsPolicy:
        """Return the policy of the settings; it allows nothing where none is listed."""
        return cls(frozenset(settings.cors_origin_list))

    def _allows(self, origin: str, *, with_key: bool) -> bool:
        """Tell whether pages of this origin may read answers.

        Any origin means callers with a key: without one, whoever is near the service has its data.
        """
        return bool(origin) and (
            origin.lower() in self.origins or (with_key and _ANY in self.origins)
        )

    def answer_preflight(self, request: Request) -> Response | None:
        """Return the answer to a browser that asks before it sends; None for other requests."""
        asked = request.headers.get("Access-Control-Request-Method")
        if request.method != "OPTIONS" or asked is None:
            return None
        if not self._allows(request.headers.get("Origin", ""), with_key=True):
            return None
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = _METHODS
        response.headers["Access-Control-Max-Age"] = str(_MAX_AGE_S)
        names = request.headers.get("Access-Control-Request-Headers", "")
        if _NAMES.fullmatch(names):
            response.headers["Access-Control-Allow-Headers"] = names
        return response

    def add_headers(self, request: Request, response: Response) -> None:
        """Let a page of an allowed origin read an answer, errors too."""
        if not self.origins:
            return
        response.vary.add("Origin")
        origin = request.headers.get("Origin", "")
        # a browser's question carries no key, and its answer no data
        with_key = request.method == "OPTIONS" or has_key(request)
        if self._allows(origin, with_key=with_key):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED

"""Who is asking: every request belongs to one tenant, sees nothing of another's, has its limits."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable

from flask import Response, g, request

from gateway.services import current_services
from shared.errors import LimitError
from shared.settings import Settings
from shared.store import Doorbell, DoorbellMessage, NewJob, StoredJob
from shared.store.api_key_store import Anonymous, Caller
from shared.store.forecasts import QueuePosition
from shared.store.rate_limits import WINDOW_S, RateLimits

#: Everybody without a key, where such callers are served.
ANONYMOUS = "anonymous"

_PRIVATE = re.compile(r"/(v1|predict)(/|$)")
#: Names of the limits in RateLimit headers, and whether they are of a window.
_POLICIES = {"requests": True, "tokens": True, "in_flight": False, "queued": False}


class UnsafeBinding(Exception):
    """The gateway would serve other machines without asking who they are."""


def anonymous(settings: Settings) -> Anonymous:
    """Return whether callers without a key are served; `alone` is as long as there is no key."""
    if settings.allow_anonymous is not None:
        return "yes" if settings.allow_anonymous else "no"
    return "alone" if settings.loopback else "no"


def check_binding(settings: Settings, any_key: Callable[[], bool]) -> None:
    """Refuse to serve where nobody could be let in, or everybody would be."""
    if anonymous(settings) == "no" and not any_key():
        raise UnsafeBinding(
            f"SIGHTLINE_HOST={settings.host} is served to holders of an API key only, and there is "
            "none: make one with `sightline-admin keys create NAME` (after `make up`: make admin "
            'ARGS="keys create NAME"), or let everybody in with SIGHTLINE_ALLOW_ANONYMOUS=1.'
        )


def begin() -> None:
    """Let a request to the API in, or raise Unauthorized or LimitError."""
    if needs_key(request.path):
        usage()


def needs_key(path: str) -> bool:
    """Tell whether a path is part of the API and not a page, a probe or a document."""
    return bool(_PRIVATE.match(path))


def costs(method: str, path: str) -> bool:
    """Tell what counts as a request: who is at its limit must still get what it has asked for."""
    return method == "POST" and not path.endswith("/cancel")


def current_tenant() -> str:
    """Return the tenant of this request."""
    return usage().tenant


def queue_position() -> QueuePosition | None:
    """Return where a job of this request would stand, as it was seen when the request came."""
    return usage().queue_position


def usage() -> Caller:
    """Return who asks; looked up once a request, so that a revoked key ends with its last one."""
    if "usage" not in g:
        g.usage = _look(int(costs(request.method, request.path)))
        if g.usage.refused_s is not None:
            raise LimitError(
                "This key has sent its requests of this minute.",
                hint="Wait for the seconds in Retry-After; reading and canceling stay free.",
                retry_after_s=g.usage.refused_s,
            )
    found: Caller = g.usage
    return found


def _look(cost: int) -> Caller:
    settings = current_services().settings
    return current_services().api_keys.admit(
        _secret(), anonymous(settings), cost, RateLimits.of(settings)
    )


def add(job: NewJob, ring: Callable[[Doorbell], DoorbellMessage]) -> StoredJob:
    """Store a job and ring, within the limits of who asks; raises what the store does."""
    try:
        added = current_services().store.add(dataclasses.replace(job, limits=usage().limits), ring)
    except LimitError:
        # others of this key were faster: tell what they left
        g.usage = _look(0)
        raise
    if not added.replayed:
        used = usage().used
        more = dataclasses.replace(
            used,
            tokens=used.tokens + job.tokens,
            in_flight=used.in_flight + 1,
            queued=used.queued + 1,
        )
        g.usage = dataclasses.replace(usage(), used=more)
    return added


def _secret() -> str:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and value.strip():
        return value.strip()
    return request.headers.get("X-API-Key", "").strip()


def tell(response: Response) -> None:
    """Add the RateLimit headers of whoever asked; nothing for who has no limits."""
    found: Caller | None = g.get("usage")
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="sightline"'
    if found is None:
        return
    policies, states = [], []
    for name, windowed in _POLICIES.items():
        limit, used = getattr(found.limits, name), getattr(found.used, name)
        if limit:
            word = name.replace("_", "-")
            policies.append(f'"{word}";q={limit}' + (f";w={WINDOW_S}" if windowed else ""))
            reset = f";t={math.ceil(found.reset_s)}" if windowed else ""
            states.append(f'"{word}";r={max(0, limit - used)}{reset}')
    if policies:
        response.headers["RateLimit-Policy"] = ", ".join(policies)
        response.headers["RateLimit"] = ", ".join(states)
    if limit := found.limits.requests:
        # what clients of earlier drafts read
        response.headers["RateLimit-Limit"] = str(limit)
        response.headers["RateLimit-Remaining"] = str(max(0, limit - found.used.requests))
        response.headers["RateLimit-Reset"] = str(math.ceil(found.reset_s))

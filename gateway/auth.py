"""Authentication and limits: every request belongs to one tenant and sees nothing of another's."""

from __future__ import annotations

import dataclasses
import ipaddress
import math
import re
from collections.abc import Callable

from flask import Response, g, request

from gateway.key_scopes import check_scopes, needed_scopes
from gateway.services import current_services
from shared.errors import LimitError, ServiceError
from shared.settings import Settings
from shared.store import DoorbellMessage, NewJob, StoredJob
from shared.store.access.api_key_types import ANONYMOUS, SCOPES, Anonymous, Caller, Charged, Scope
from shared.store.access.rate_limits import WINDOW_S, RateLimits
from shared.store.fleet.forecasts import QueuePosition

_PRIVATE = re.compile(r"/(v1|predict|process)(/|$)")
#: What follows one job costs little and is asked for again and again.
_FOLLOWS_JOB = re.compile(r"/v1/jobs/[^/]+(/events|/result)?")
#: The limits in RateLimit headers, and whether they count within a minute.
_POLICIES = {"requests": True, "tokens": True, "in_flight": False, "queued": False}
_READ_POLICIES = {"reads": True}
#: Whoever is refused reads what still works.
_REFUSALS = {
    "requests": (
        "This key has used up its requests for this minute.",
        "Wait as long as Retry-After says; reading and canceling stay free.",
    ),
    "reads": (
        "This key has used up its reading requests for this minute.",
        "Wait as long as Retry-After says; following a job and canceling stay free.",
    ),
}


class UnsafeBinding(Exception):
    """Callers need an API key to be served, and none exists."""


def anonymous_access(settings: Settings) -> Anonymous:
    """Return whether callers without a key are served; `alone`: only until there is a key."""
    if settings.allow_anonymous is not None:
        return "yes" if settings.allow_anonymous else "no"
    return "alone" if settings.loopback else "no"


def check_binding(settings: Settings, any_key: Callable[[], bool]) -> None:
    """Raise UnsafeBinding where callers need a key and there is none."""
    if anonymous_access(settings) == "no" and not any_key():
        raise UnsafeBinding(
            f"SIGHTLINE_HOST={settings.host} requires API keys, but there are "
            "none: create one with `sightline-admin keys create NAME` (after `make up`: make admin "
            'ARGS="keys create NAME"), or allow anonymous access with SIGHTLINE_ALLOW_ANONYMOUS=1.'
        )


def admit_request() -> None:
    """Authenticate a request to the API.

    Raises Unauthorized, InsufficientScope, LimitError, HostNotAllowed and OriginNotAllowed.
    """
    if needs_key(request.path):
        current_caller()


def needs_key(path: str) -> bool:
    """Tell whether a path is part of the API and not a page, a probe or a document."""
    return bool(_PRIVATE.match(path))


def charged_as(method: str, path: str) -> Charged:
    """Return the limit that a request counts against; following, canceling and erasing are free."""
    if method in ("POST", "PUT") and not path.endswith("/cancel"):
        return "requests"
    if method in ("GET", "HEAD") and not _FOLLOWS_JOB.fullmatch(path):
        return "reads"
    return ""


def current_tenant() -> str:
    """Return the tenant of this request."""
    return current_caller().tenant


def current_party() -> str:
    """Return whom this request takes turns for: its key, and without one the caller's address."""
    tenant = current_tenant()
    return f"{tenant} {network_of(request.remote_addr)}" if tenant == ANONYMOUS else tenant


def network_of(address: str | None) -> str:
    """Return what belongs to one caller with this address: of IPv6 its whole /64 network."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    if mapped or ip.version == 4:
        return str(mapped or ip)
    return str(ipaddress.ip_network((ip, 64), strict=False))


def current_position() -> QueuePosition | None:
    """Return the queue position of a job of this request, as of when the request arrived."""
    return current_caller().queue_position


def current_caller() -> Caller:
    """Return the caller of this request, looked up once; raises what `admit_request` raises."""
    if "caller" not in g:
        foreign = _find_foreign_page()
        charged = charged_as(request.method, request.path) if foreign is None else ""
        admitted = _admit_caller(charged)
        if foreign and admitted.tenant == ANONYMOUS:
            raise foreign
        g.caller = _with_operators_scopes(admitted)
        check_scopes(g.caller.scopes, needed_scopes(request.method, request.path), admitted.name)
        if g.caller.refused_s is not None:
            detail, hint = _REFUSALS[g.caller.charged]
            raise LimitError(detail, hint=hint, retry_after_s=g.caller.refused_s)
    caller: Caller = g.caller
    return caller


def _with_operators_scopes(caller: Caller) -> Caller:
    """Let whoever is alone with the service, before it has any key, be its operator."""
    if caller.tenant != ANONYMOUS or anonymous_access(current_services().settings) != "alone":
        return caller
    return dataclasses.replace(caller, scopes=frozenset(SCOPES))


def require_scope(scope: Scope) -> None:
    """Raise InsufficientScope unless the caller has this scope."""
    caller = current_caller()
    check_scopes(caller.scopes, frozenset({scope}), caller.name)


def may_read() -> bool:
    """Tell whether the caller may see what the key has been answered before."""
    return not current_caller().scopes.isdisjoint(("read", "admin"))


def _find_foreign_page() -> ServiceError | None:
    """Return why a page of others may have made this request; it matters only without a key."""
    try:
        current_services().browser_guard.check(request)
    except ServiceError as error:
        return error
    return None


def _admit_caller(charged: Charged) -> Caller:
    services = current_services()
    return services.api_keys.admit(
        _read_secret(),
        anonymous_access(services.settings),
        charged,
        RateLimits.of(services.settings),
    )


def add_job(job: NewJob, message: DoorbellMessage) -> StoredJob:
    """Store a job within the caller's limits; raises what `Store.add` raises."""
    limited = dataclasses.replace(job, limits=current_caller().limits)
    try:
        stored = current_services().store.add(limited, message)
    except LimitError:
        # other requests of this key were faster: show what they left
        g.caller = _admit_caller("")
        raise
    if not stored.replayed:
        _count_job(job)
    return stored


def _count_job(job: NewJob) -> None:
    """Add a stored job to what this request shows of the caller's use."""
    used = current_caller().used
    used = dataclasses.replace(
        used,
        tokens=used.tokens + job.tokens,
        in_flight=used.in_flight + 1,
        queued=used.queued + 1,
    )
    g.caller = dataclasses.replace(current_caller(), used=used)


def _read_secret() -> str:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and value.strip():
        return value.strip()
    return request.headers.get("X-API-Key", "").strip()


def add_limit_headers(response: Response) -> None:
    """Add the RateLimit headers of the caller, if it is known and has limits."""
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="sightline"'
    if "caller" in g:
        response.headers.update(_limit_headers(g.caller))


def _limit_headers(caller: Caller) -> dict[str, str]:
    reset_s = math.ceil(caller.reset_s)
    headers: dict[str, str] = {}
    policies, states = [], []
    is_read = caller.charged == "reads"
    for name, windowed in (_READ_POLICIES if is_read else _POLICIES).items():
        limit, used = getattr(caller.limits, name), getattr(caller.used, name)
        if limit:
            label = name.replace("_", "-")
            policies.append(f'"{label}";q={limit}' + (f";w={WINDOW_S}" if windowed else ""))
            reset = f";t={reset_s}" if windowed else ""
            states.append(f'"{label}";r={max(0, limit - used)}{reset}')
    if policies:
        headers |= {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
    name = "reads" if is_read else "requests"
    if limit := getattr(caller.limits, name):
        # clients of earlier drafts of the standard read these
        headers |= {
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": str(max(0, limit - getattr(caller.used, name))),
            "RateLimit-Reset": str(reset_s),
        }
    return headers

"""Requests that their client sends again: known by a key of its own, or by what OpenAI's say."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from flask import Request

from gateway.services import Services
from gateway.submission.request import is_json
from shared.errors import Unavailable

_RETRY_COUNT = "X-Stainless-Retry-Count"


def repeats_itself(request: Request) -> bool:
    """Tell whether its client sends a request again when no answer comes, and says so."""
    return _RETRY_COUNT in request.headers


def key_of(request: Request, services: Services, tenant: str, given: str | None) -> str | None:
    """Return under which key a request finds the job that it has made already.

    That is the caller's own or, for OpenAI's clients, one made of the body. A first try begins
    anew; forms have no such key, as each try draws another boundary.
    """
    count = request.headers.get(_RETRY_COUNT)
    if given is not None or count is None or not is_json(request):
        return given
    key = "stainless:" + hashlib.sha256(request.get_data()).hexdigest()
    if count.strip() == "0":
        services.store.forget_key(tenant, key)
    return key


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What a request may be a repetition of."""

    services: Services
    tenant: str
    key: str | None

    def unless_known(self, check: Callable[[], None]) -> None:
        """Let a check refuse a new job for want of room; one that is stored already costs none."""
        try:
            check()
        except Unavailable:
            if self.key is None or not self.services.store.knows_key(self.tenant, self.key):
                raise

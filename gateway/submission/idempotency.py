"""Requests that a client sends again, recognised by a key of its own or by OpenAI's headers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Request

from gateway.large_input import sha256_hex
from gateway.services import Services
from gateway.submission.body import is_json, read_whole_body
from shared.errors import Unavailable
from shared.jobs.parameters.route import Route
from shared.store import Store

_RETRY_COUNT = "X-Stainless-Retry-Count"


def counts_retries(request: Request) -> bool:
    """Tell whether its client numbers its tries, and so repeats a request without an answer."""
    return _RETRY_COUNT in request.headers


def find_key(
    request: Request, services: Services, tenant: str, idempotency_key: str | None
) -> str | None:
    """Return the key under which a request finds the job that it has made already.

    That is the caller's own key or, for OpenAI's clients, one made of the body. Their first try
    makes a new job; forms have no such key, as each try draws another boundary.
    """
    count = request.headers.get(_RETRY_COUNT)
    if idempotency_key is not None or count is None or not is_json(request):
        return idempotency_key
    key = "stainless:" + sha256_hex(read_whole_body(request))
    if count.strip() == "0":
        services.store.forget_key(tenant, key)
    return key


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The key that a request shares with its repetitions, if it has one."""

    store: Store
    tenant: str
    key: str | None
    #: A job that was stopped does not stand for the key.
    live: bool = False

    @contextmanager
    def allow_replay(self) -> Iterator[None]:
        """Ignore that there is no room for a new job if the request's job is stored already.

        Suppresses Unavailable from the block for a repeated request, which takes no room.
        """
        try:
            yield
        except Unavailable:
            if self.known_route() is None:
                raise

    def known_route(self) -> Route | None:
        """Return the route of the job that a repeated request gets; None for a new request.

        Raises StoreUnavailable.
        """
        if self.key is None:
            return None
        return self.store.known_route(self.tenant, self.key, live=self.live)

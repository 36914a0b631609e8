"""Images that a request names by URL, fetched through the guarded client."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from gateway.images.host_breaker import HostBreaker, HostHealth
from gateway.images.uploads import Upload
from shared.errors import (
    ImageEmpty,
    ImageHostUnavailable,
    PayloadTooLarge,
    UrlFetchFailed,
    UrlNotAllowed,
)
from shared.outbound.client import Ending, FetchedResponse, FetchLimits, GuardedClient, parse_target
from shared.settings import Settings

_URL = re.compile(r"[a-z][a-z0-9+.\-]*://", re.IGNORECASE)
_CONNECT_S = 5.0
_HEADERS = {"Accept": "image/*", "User-Agent": "Sightline"}


def is_url(text: str) -> bool:
    """Tell whether an image is given as a URL of any scheme."""
    return bool(_URL.match(text.lstrip()))


@dataclass(frozen=True, slots=True)
class ImageFetcher:
    """The fetching of one request's images, which share one deadline."""

    client: GuardedClient
    breaker: HostBreaker
    tenant: str
    most_bytes: int
    #: Seconds for all of them, and the monotonic moment when these are over.
    total_s: float
    deadline: float

    @classmethod
    def begin(
        cls, client: GuardedClient, breaker: HostBreaker, settings: Settings, tenant: str
    ) -> ImageFetcher:
        """Return the fetching of a tenant's request that came now."""
        total_s = settings.fetch_timeout_s
        deadline = time.monotonic() + total_s
        return cls(client, breaker, tenant, settings.upload_max_bytes, total_s, deadline)

    def fetch(self, url: str, pointer: str) -> Upload:
        """Return the bytes that a URL answers, whatever they are.

        Raises UrlNotAllowed, UrlFetchFailed, ImageHostUnavailable, PayloadTooLarge and ImageEmpty,
        each naming `pointer`.
        """
        try:
            answer = self._exchange(url.strip())
        except (UrlNotAllowed, UrlFetchFailed, ImageHostUnavailable) as error:
            error.pointer = pointer
            raise
        self._check(answer, pointer)
        return Upload(answer.body, content_type=_media_type(answer))

    def _exchange(self, url: str) -> FetchedResponse:
        origin = parse_target(url, self.client.policy).origin
        left = max(0.01, self.deadline - time.monotonic())
        limits = FetchLimits(left, min(left, _CONNECT_S), self.most_bytes)
        # an image that others of its request have left no time says nothing of its host
        health = HostHealth.BAD if left >= self.total_s / 2 else HostHealth.UNKNOWN
        self.breaker.enter(self.tenant, origin)
        try:
            answer = self.client.fetch("GET", url, limits, headers=_HEADERS)
            if answer.status < 500 and answer.ending in (Ending.WHOLE, Ending.CAPPED):
                health = HostHealth.GOOD
        except UrlNotAllowed:
            health = HostHealth.UNKNOWN
            raise
        finally:
            self.breaker.leave(self.tenant, origin, health)
        return answer

    def _check(self, answer: FetchedResponse, pointer: str) -> None:
        if answer.status != 200:
            told = " and redirects are not followed" if 300 <= answer.status < 400 else ""
            raise UrlFetchFailed(f"The URL answered {answer.status}{told}.", pointer=pointer)
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise UrlFetchFailed("The URL answered with a compressed body.", pointer=pointer)
        if answer.ending is Ending.CAPPED:
            raise PayloadTooLarge(
                f"The image file is larger than the {self.most_bytes} bytes that are accepted.",
                pointer=pointer,
            )
        if answer.ending is not Ending.WHOLE:
            raise UrlFetchFailed("The URL's answer did not come to its end.", pointer=pointer)
        if not answer.body:
            raise ImageEmpty(pointer=pointer)


def _media_type(answer: FetchedResponse) -> str | None:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower() or None

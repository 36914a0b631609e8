"""Fetches the images and documents that a request names by URL, through the guarded client."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from gateway.images.host_breaker import HostBreaker, HostHealth
from gateway.images.uploads import Upload, check_size, max_file_bytes
from shared.errors import (
    ImageHostUnavailable,
    PayloadTooLarge,
    UrlFetchFailed,
    UrlNotAllowed,
)
from shared.outbound.client import (
    Ending,
    FetchedResponse,
    FetchLimits,
    GuardedClient,
    follow_redirect,
    parse_target,
)
from shared.settings import Settings

_URL = re.compile(r"[a-z][a-z0-9+.\-]*://", re.IGNORECASE)
#: Characters of the longest scheme, and more.
_SCHEME_CHARS = 64
_CONNECT_S = 5.0
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 3
_ACCEPT = "image/*, application/pdf"


def is_url(text: str) -> bool:
    """Tell whether an image is named by a URL of any scheme."""
    return bool(_URL.match(text.lstrip()[:_SCHEME_CHARS]))


@dataclass(frozen=True, slots=True)
class ImageFetcher:
    """Fetches the images of one request, which share one deadline."""

    client: GuardedClient
    breaker: HostBreaker
    tenant: str
    settings: Settings
    #: Seconds for all images together, and the end of them by the monotonic clock.
    total_s: float
    deadline: float

    @classmethod
    def start(
        cls, client: GuardedClient, breaker: HostBreaker, settings: Settings, tenant: str
    ) -> ImageFetcher:
        """Return the fetcher of a tenant's request whose deadline is counted from now."""
        total_s = settings.fetch_timeout_s
        deadline = time.monotonic() + total_s
        return cls(client, breaker, tenant, settings, total_s, deadline)

    def fetch(self, url: str, pointer: str) -> Upload:
        """Return the body of a URL, whatever it is.

        Raises UrlNotAllowed, UrlFetchFailed, ImageHostUnavailable, PayloadTooLarge and ImageEmpty,
        each naming `pointer`.
        """
        try:
            response = self._follow(url.strip())
        except (UrlNotAllowed, UrlFetchFailed, ImageHostUnavailable) as error:
            error.pointer = pointer
            raise
        self._check_response(response, pointer)
        return Upload(response.body, content_type=_read_media_type(response))

    def _follow(self, url: str) -> FetchedResponse:
        """Return what a URL leads to; every hop is checked like the first and shares its time."""
        response = self._get(url)
        for _ in range(_MOST_REDIRECTS):
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                break
            url = follow_redirect(url, location)
            response = self._get(url)
        return response

    def _get(self, url: str) -> FetchedResponse:
        origin = parse_target(url, self.client.policy).origin
        left_s = max(0.01, self.deadline - time.monotonic())
        most_bytes = max_file_bytes(self.settings)
        limits = FetchLimits(left_s, min(left_s, _CONNECT_S), most_bytes)
        # a fetch that began with little time left says nothing about its host
        health = HostHealth.BAD if left_s >= self.total_s / 2 else HostHealth.UNKNOWN
        self.breaker.enter(self.tenant, origin)
        try:
            agent = self.settings.user_agent("Sightline")
            headers = {"Accept": _ACCEPT, "User-Agent": agent}
            response = self.client.fetch("GET", url, limits, headers=headers)
            if response.status < 500 and response.ending in (Ending.WHOLE, Ending.CAPPED):
                health = HostHealth.GOOD
        except UrlNotAllowed:
            health = HostHealth.UNKNOWN
            raise
        finally:
            self.breaker.leave(self.tenant, origin, health)
        return response

    def _check_response(self, response: FetchedResponse, pointer: str) -> None:
        if response.status != 200:
            redirected = response.status in _REDIRECTS
            reason = f" after {_MOST_REDIRECTS} redirects, the limit" if redirected else ""
            raise UrlFetchFailed(f"The URL returned {response.status}{reason}.", pointer=pointer)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise UrlFetchFailed("The URL returned a compressed body.", pointer=pointer)
        if response.ending is Ending.CAPPED:
            raise PayloadTooLarge(
                f"The file is larger than the limit of {max_file_bytes(self.settings)} bytes.",
                pointer=pointer,
            )
        if response.ending is not Ending.WHOLE:
            raise UrlFetchFailed("The response from the URL was incomplete.", pointer=pointer)
        check_size(response.body, pointer, self.settings)


def _read_media_type(response: FetchedResponse) -> str | None:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() or None

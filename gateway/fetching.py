"""Images that a request names by URL, fetched through the guarded client."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from gateway.uploads import Upload
from shared.errors import ImageEmpty, PayloadTooLarge, UrlFetchFailed, UrlNotAllowed
from shared.net import Answer, Ending, GuardedClient, Limits
from shared.settings import Settings

_URL = re.compile(r"[a-z][a-z0-9+.\-]*://", re.IGNORECASE)
_CONNECT_S = 5.0
_HEADERS = {"Accept": "image/*", "User-Agent": "Sightline"}


def is_url(text: str) -> bool:
    """Tell whether an image is given as a URL of any scheme."""
    return bool(_URL.match(text.lstrip()))


@dataclass(frozen=True, slots=True)
class Fetching:
    """The fetching of one request's images, which share one deadline."""

    client: GuardedClient
    most_bytes: int
    deadline: float

    @classmethod
    def begin(cls, client: GuardedClient, settings: Settings) -> Fetching:
        """Return the fetching of a request that came now."""
        deadline = time.monotonic() + settings.fetch_timeout_s
        return cls(client, settings.upload_max_bytes, deadline)

    def fetch(self, url: str, pointer: str) -> Upload:
        """Return the bytes that a URL answers, whatever they are.

        Raises UrlNotAllowed, UrlFetchFailed, PayloadTooLarge and ImageEmpty, each naming `pointer`.
        """
        left = max(0.01, self.deadline - time.monotonic())
        limits = Limits(left, min(left, _CONNECT_S), self.most_bytes)
        try:
            answer = self.client.fetch("GET", url.strip(), limits, headers=_HEADERS)
        except (UrlNotAllowed, UrlFetchFailed) as error:
            raise type(error)(error.detail, pointer=pointer) from None
        self._check(answer, pointer)
        return Upload(answer.body, content_type=_media_type(answer))

    def _check(self, answer: Answer, pointer: str) -> None:
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


def _media_type(answer: Answer) -> str | None:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower() or None

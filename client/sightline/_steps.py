"""The steps of an operation and the rules for retries; nothing here does I/O.

An operation is a generator: it yields steps, is sent their outcomes, and returns its result. A
client performs the steps, with or without `await`, so that every rule is written once.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import random
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sightline._images import ImageSource, LoadedImage
from sightline.errors import APIError, NoConnection, UnexpectedAnswer, api_error

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """Send this; the outcome is a Reply."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    #: Form fields with a file's name and bytes.
    files: tuple[tuple[str, tuple[str, bytes]], ...] = ()
    #: Seconds of the long poll that the service is asked for.
    poll_s: float = 0.0
    #: May it be sent again when it is unknown whether it took effect?
    repeatable: bool = True
    #: Leave the body open; Read returns its chunks.
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Wait for more of the open body; the outcome is bytes, or None at its end."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Pause for this time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """Read an image; the outcome is a LoadedImage."""

    source: ImageSource


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand this to the caller before going on."""

    item: Any


Step = Request | Read | Sleep | Load | Emit
#: An operation whose result is T.
Steps = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        """Return the body; raises UnexpectedAnswer if it is not a JSON object."""
        try:
            payload = json.loads(self.body)
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            kind = self.headers.get("content-type", "nothing")
            raise UnexpectedAnswer(
                f"Expected JSON, got {kind} with status {self.status}. Is this Sightline's URL?"
            )
        return payload


class NoAnswer(Exception):
    """Thrown into an operation when no response came; `sent` unless surely nothing arrived."""

    def __init__(self, message: str, *, sent: bool) -> None:
        self.sent = sent
        super().__init__(message)


def resume(steps: Steps[Any], outcome: Any) -> Step:
    """Hand the outcome of a step to an operation; return the next step."""
    return steps.throw(outcome) if isinstance(outcome, NoAnswer) else steps.send(outcome)


@dataclass(frozen=True, slots=True)
class Policy:
    """How failed requests are retried."""

    retries: int = 5
    first_s: float = 0.5
    longest_s: float = 8.0
    #: If the service asks for a longer pause, the request is not retried.
    patience_s: float = 120.0

    def backoff_s(self, attempt: int) -> float:
        """Return a random pause before repetition number `attempt`, from 0."""
        return min(self.longest_s, self.first_s * 2.0**attempt) * random.uniform(0.5, 1.0)


def send(request: Request) -> Steps[Reply]:
    """Send once; raises NoAnswer."""
    reply: Reply = yield request
    return reply


def send_with_retries(
    request: Request, policy: Policy, deadline: float | None = None
) -> Steps[Reply]:
    """Send, with retries where they may help; raises APIError and NoConnection.

    No pause goes beyond `deadline`, a time of `time.monotonic()`.
    """
    attempt = 0
    while True:
        failure: APIError | NoConnection
        pause_s = policy.backoff_s(attempt)
        try:
            reply = yield from send(request)
        except NoAnswer as error:
            failure = NoConnection(str(error))
            may_retry = request.repeatable or not error.sent
        else:
            if reply.status < 300:
                return reply
            check_origin(reply)
            refused = failure = refusal(reply)
            may_retry = _may_repeat(request, reply)
            pause_s = max(pause_s, refused.retry_after_s or 0.0)
        late = deadline is not None and time.monotonic() + pause_s > deadline
        if not may_retry or late or attempt >= policy.retries or pause_s > policy.patience_s:
            raise failure from None
        attempt += 1
        yield Sleep(pause_s)


def check_origin(reply: Reply) -> None:
    """Raise UnexpectedAnswer if something else than Sightline refused the request."""
    if 300 <= reply.status < 400:
        place = reply.headers.get("location", "nowhere")
        raise UnexpectedAnswer(
            f"The service's URL redirects to {place} (status {reply.status}): use the URL that"
            " answers itself."
        )
    if reply.status in (404, 405) and not _problem(reply):
        kind = reply.headers.get("content-type", "nothing")
        raise UnexpectedAnswer(
            f"Got {kind} with status {reply.status}: something other than Sightline responded. "
            "Check the URL."
        )


def refusal(reply: Reply) -> APIError:
    """Return the APIError for a response with an error status."""
    pause_s = retry_after_s(reply.headers.get("retry-after", ""))
    return api_error(reply.status, _problem(reply), pause_s)


def _problem(reply: Reply) -> dict[str, Any]:
    """Return what the service says of a refusal; empty if it is not of its form."""
    try:
        payload = json.loads(reply.body)
    except ValueError:
        return {}
    return payload if isinstance(payload, dict) and "code" in payload else {}


def _may_repeat(request: Request, reply: Reply) -> bool:
    if reply.headers.get("x-should-retry") == "false":
        return False
    # a request that was turned away had no effect
    return reply.status in (429, 503) or (
        request.repeatable and reply.status in (408, 500, 502, 504)
    )


def retry_after_s(text: str) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date; None if it is neither."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=dt.UTC)
    return max(0.0, until.timestamp() - time.time())


def load_all(sources: list[ImageSource]) -> Steps[list[LoadedImage]]:
    """Return all images, loaded."""
    images: list[LoadedImage] = []
    for source in sources:
        image: LoadedImage = yield Load(source)
        images.append(image)
    return images

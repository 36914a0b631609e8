"""Every operation of the API, once for both clients."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import quote

from sightline._images import ImageSource, Picture
from sightline._sse import Parser
from sightline._steps import (
    Emit,
    NoAnswer,
    Policy,
    Read,
    Reply,
    Request,
    Sleep,
    Steps,
    call,
    load_all,
)
from sightline.errors import NoConnection, NotFound, WaitTimeout
from sightline.types import TERMINAL, EstimateData, ImageData, JobData, SubmitOptions

#: The longest that the service is asked to hold an answer back.
_HOLD_S = 30.0
_PAGE = 100
_REMEMBERED_UPLOADS = 1024

OnUpdate = Callable[[JobData], None]


class Api:
    """Operations under one policy; remembers what was uploaded."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        #: Digest of a file -> the id it has as an image.
        self._uploaded: dict[str, str] = {}

    # anything

    def ask_json(self, method: str, where: str, **parts: Any) -> Steps[Any]:
        """Return the JSON object that a path answers."""
        reply = yield from call(Request(method, where, **parts), self.policy)
        return reply.json()

    def ask_list(self, where: str, **params: str) -> Steps[list[Any]]:
        """Return the data of a list that comes whole."""
        told = yield from self.ask_json("GET", where, params=params)
        return list(told["data"])

    def delete(self, where: str) -> Steps[None]:
        """Delete what is there; what is gone already is as good."""
        try:
            yield from call(Request("DELETE", where), self.policy)
        except NotFound:
            return

    def pages(self, where: str, limit: int | None, params: Mapping[str, str]) -> Steps[None]:
        """Emit the items of a list with a cursor, up to `limit`."""
        after: dict[str, str] = {}
        left = math.inf if limit is None else limit
        while left > 0:
            page = {"limit": str(int(min(left, _PAGE)))}
            told = yield from self.ask_json("GET", where, params={**params, **page, **after})
            for item in told["data"]:
                yield Emit(item)
            left -= len(told["data"])
            if not told["has_more"] or not told["data"]:
                return
            after = {"after": told["last_id"]}

    # jobs

    def submit(
        self,
        prompt: str | None,
        images: list[ImageSource],
        options: SubmitOptions,
        *,
        key: str | None = None,
        wait_s: float = 0.0,
        deadline: float | None = None,
    ) -> Steps[tuple[JobData, bool]]:
        """Submit; return the job, and whether this key had it already."""
        pictures = yield from load_all(images)
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        held = int(min(wait_s, _HOLD_S))
        if held:
            headers["Prefer"] = f"wait={held}"
        request = Request(
            "POST", "/v1/jobs", headers=headers, held_s=held, **_body(prompt, pictures, options)
        )
        reply = yield from call(request, self.policy, deadline)
        return _job(reply), reply.headers.get("idempotency-replayed") == "true"

    def ask(
        self,
        prompt: str | None,
        images: list[ImageSource],
        options: SubmitOptions,
        timeout_s: float | None,
    ) -> Steps[JobData]:
        """Submit and wait; return the ended job, in whatever way it ended."""
        deadline = _deadline(timeout_s)
        wait_s = _HOLD_S if timeout_s is None else timeout_s
        job, _ = yield from self.submit(prompt, images, options, wait_s=wait_s, deadline=deadline)
        return (yield from self.wait(job, _left(deadline)))

    def read(
        self, job_id: str, hold_s: float = 0.0, deadline: float | None = None
    ) -> Steps[JobData]:
        """Return a job, held back up to `hold_s` until something changes."""
        params = {"wait": str(int(hold_s))} if hold_s >= 1 else {}
        request = Request("GET", path("jobs", job_id), params=params, held_s=hold_s)
        return _job((yield from call(request, self.policy, deadline)))

    def wait(
        self, job: JobData, timeout_s: float | None, on_update: OnUpdate | None = None
    ) -> Steps[JobData]:
        """Return the job when it has ended; raises WaitTimeout."""
        deadline = _deadline(timeout_s)
        while job["status"] not in TERMINAL:
            left = _left(deadline)
            if left is not None and left <= 0:
                raise WaitTimeout(job, timeout_s or 0.0)
            hold_s = _HOLD_S if left is None else min(_HOLD_S, left)
            if hold_s < 1:
                # the service counts in whole seconds
                yield Sleep(hold_s)
            job = yield from self.read(job["id"], hold_s)
            if on_update:
                on_update(job)
        return job

    def change(self, job_id: str, verb: str, *, repeatable: bool) -> Steps[JobData]:
        """Cancel or retry a job; return what comes of it."""
        request = Request("POST", f"{path('jobs', job_id)}/{verb}", repeatable=repeatable)
        return _job((yield from call(request, self.policy)))

    def stream(self, job_id: str, after: int = 0) -> Steps[None]:
        """Emit a job's events to its end, resuming where a connection broke."""
        failures = 0
        while True:
            parser = Parser()
            try:
                yield from call(self._stream_request(job_id, after), self.policy)
                while (chunk := (yield Read())) is not None:
                    for event in parser.feed(chunk):
                        failures = 0
                        after = event.seq or after
                        yield Emit(event)
                        if event.terminal:
                            return
            except NoAnswer:
                pass
            failures += 1
            if failures > self.policy.retries:
                raise NoConnection(f"The event stream of {job_id} broke {failures} times.")
            yield Sleep(parser.retry_s or self.policy.backoff_s(failures))

    @staticmethod
    def _stream_request(job_id: str, after: int) -> Request:
        headers = {"Accept": "text/event-stream"}
        if after:
            headers["Last-Event-ID"] = str(after)
        return Request("GET", f"{path('jobs', job_id)}/events", headers=headers, stream=True)

    # what stands around jobs

    def estimate(
        self, prompt: str | None, images: list[ImageSource], options: SubmitOptions
    ) -> Steps[EstimateData]:
        """Return what a submission would cost; nothing is done."""
        pictures = yield from load_all(images)
        body = _body(prompt, pictures, options)
        told: EstimateData = yield from self.ask_json("POST", path("estimate"), **body)
        return told

    def upload(self, source: ImageSource, *, warm: bool, detail: str) -> Steps[ImageData]:
        """Upload an image, unless this client has and the service still knows it."""
        (picture,) = yield from load_all([source])
        digest = hashlib.sha256(picture.data).hexdigest() if picture.data else ""
        known = self._uploaded.get(digest)
        if known and not warm:
            try:
                return cast("ImageData", (yield from self.ask_json("GET", path("images", known))))
            except NotFound:
                del self._uploaded[digest]
        params = {"warm": "true", "detail": detail} if warm else {}
        body: dict[str, Any] = {"json": {"image": picture.text}}
        if not picture.text:
            body = {"files": (("image", (picture.name, picture.data)),)}
        told: ImageData = yield from self.ask_json("POST", "/v1/images", params=params, **body)
        if digest:
            self._remember(digest, told["id"])
        return told

    def _remember(self, digest: str, image_id: str) -> None:
        self._uploaded[digest] = image_id
        if len(self._uploaded) > _REMEMBERED_UPLOADS:
            del self._uploaded[next(iter(self._uploaded))]

    def replay_failed(self, since: dt.datetime | str) -> Steps[int]:
        """Send all deliveries again that have failed since a time; return how many."""
        moment = since if isinstance(since, str) else since.astimezone(dt.UTC).isoformat()
        told = yield from self.ask_json(
            "POST", path("deliveries", "replay"), json={"since": moment}
        )
        return int(told["replayed"])


def path(*parts: str) -> str:
    """Return a path of the API; each part is one segment, whatever it holds."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _job(reply: Reply) -> JobData:
    return cast("JobData", reply.json())


def _deadline(timeout_s: float | None) -> float | None:
    return None if timeout_s is None else time.monotonic() + timeout_s


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - time.monotonic()


def _body(prompt: str | None, pictures: list[Picture], options: SubmitOptions) -> dict[str, Any]:
    """Return a form where all images are bytes, else JSON, which keeps their order."""
    fields: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if prompt is not None:
        fields["prompt"] = prompt
    if pictures and not any(picture.text for picture in pictures):
        files = tuple(("image", (picture.name, picture.data)) for picture in pictures)
        return {"form": {name: _text(value) for name, value in fields.items()}, "files": files}
    if pictures:
        fields["images"] = [picture.as_text() for picture in pictures]
    return {"json": fields}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

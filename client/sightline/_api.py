"""Every operation of the API, written once for both clients."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

from sightline._images import ImageSource, LoadedImage
from sightline._steps import (
    Emit,
    NoAnswer,
    Policy,
    Read,
    Reply,
    Request,
    Sleep,
    Steps,
    load_all,
    send_with_retries,
)
from sightline._transport.sse import Parser
from sightline.errors import NoConnection, NotFound, WaitTimeout
from sightline.types import (
    TERMINAL,
    EstimateData,
    ImageData,
    JobData,
    ResultForm,
    ReviewData,
    SubmitOptions,
)

#: The longest long poll that the service is asked for.
_LONGEST_WAIT_S = 30.0
_PAGE_ITEMS = 100
_REMEMBERED_UPLOADS = 1024

OnUpdate = Callable[[JobData], None]


def find_options(labels: str | Sequence[str], options: SubmitOptions) -> SubmitOptions:
    """Return the options of a search for labels, unless these have a phrase."""
    terms: SubmitOptions = {"preset": "find"}
    if labels:
        terms["labels"] = [labels] if isinstance(labels, str) else list(labels)
    return {**terms, **options}


class Api:
    """Operations under one retry policy; remembers which images were uploaded."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        #: SHA-256 of a file -> the id of its uploaded image.
        self._uploaded: dict[str, str] = {}

    # requests

    def request_json(self, method: str, path: str, **parts: Any) -> Steps[Any]:
        """Return the JSON object of a response; `parts` are further fields of `Request`."""
        reply = yield from send_with_retries(Request(method, path, **parts), self.policy)
        return reply.json()

    def request_list(self, path: str, **params: str) -> Steps[list[Any]]:
        """Return the items of a list that has no pages."""
        listing = yield from self.request_json("GET", path, params=params)
        return list(listing["data"])

    def delete(self, path: str) -> Steps[None]:
        """Delete a resource; one that does not exist is no error."""
        try:
            yield from send_with_retries(Request("DELETE", path), self.policy)
        except NotFound:
            return

    def list_jobs(
        self, limit: int | None, params: Mapping[str, str], *, whole: bool
    ) -> Steps[None]:
        """Emit jobs, up to `limit`; `whole`: each long answer is read by itself."""
        after: dict[str, str] = {}
        left = math.inf if limit is None else limit
        while left > 0:
            size = {"limit": str(int(min(left, _PAGE_ITEMS)))}
            page = yield from self.request_json(
                "GET", api_path("jobs"), params={**params, **size, **after}
            )
            for item in page["data"]:
                is_short = bool((item["output"] or {}).get("shortened"))
                yield Emit((yield from self.read(item["id"])) if whole and is_short else item)
            left -= len(page["data"])
            if not page["has_more"] or not page["data"]:
                return
            after = {"after": page["last_id"]}

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
        document: ImageSource | None = None,
    ) -> Steps[tuple[JobData, bool]]:
        """Submit; return the job, and whether the service knew it by its key already."""
        loaded = yield from load_all(images)
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        poll_s = int(min(wait_s, _LONGEST_WAIT_S))
        if poll_s:
            headers["Prefer"] = f"wait={poll_s}"
        body = _request_body(prompt, loaded, options)
        if document is not None:
            (file,) = yield from load_all([document])
            body = _document_body(prompt, file, options)
        request = Request("POST", "/v1/jobs", headers=headers, poll_s=poll_s, **body)
        reply = yield from send_with_retries(request, self.policy, deadline)
        return _job(reply), reply.headers.get("idempotency-replayed") == "true"

    def ask(
        self,
        prompt: str | None,
        images: list[ImageSource],
        options: SubmitOptions,
        timeout_s: float | None,
    ) -> Steps[JobData]:
        """Submit and wait; return the ended job, successful or not. Raises WaitTimeout."""
        deadline = _deadline(timeout_s)
        wait_s = _LONGEST_WAIT_S if timeout_s is None else timeout_s
        job, _ = yield from self.submit(prompt, images, options, wait_s=wait_s, deadline=deadline)
        return (yield from self._follow(job, deadline, timeout_s))

    def read(
        self, job_id: str, poll_s: float = 0.0, deadline: float | None = None
    ) -> Steps[JobData]:
        """Return a job; with `poll_s`, once something changes or that many seconds passed."""
        params = {"wait": str(int(poll_s))} if poll_s >= 1 else {}
        request = Request("GET", api_path("jobs", job_id), params=params, poll_s=poll_s)
        return _job((yield from send_with_retries(request, self.policy, deadline)))

    def wait(
        self, job: JobData, timeout_s: float | None, on_update: OnUpdate | None = None
    ) -> Steps[JobData]:
        """Return the job when it has ended; raises WaitTimeout."""
        return (yield from self._follow(job, _deadline(timeout_s), timeout_s, on_update))

    def _follow(
        self,
        job: JobData,
        deadline: float | None,
        timeout_s: float | None,
        on_update: OnUpdate | None = None,
    ) -> Steps[JobData]:
        while job["status"] not in TERMINAL:
            left = _remaining_s(deadline)
            if left is not None and left <= 0:
                raise WaitTimeout(job, max(0.0, timeout_s or 0.0))
            poll_s = _LONGEST_WAIT_S if left is None else min(_LONGEST_WAIT_S, left)
            if poll_s < 1:
                # the service counts in whole seconds
                yield Sleep(poll_s)
            job = yield from self.read(job["id"], poll_s)
            if on_update:
                on_update(job)
        return job

    def review(
        self,
        job_id: str,
        corrections: Mapping[str, Any],
        confirmed: Iterable[str],
        reviewer: str | None,
        if_version: int | None,
    ) -> Steps[ReviewData]:
        """Store what a person says of an answer; return all that was said of it."""
        body: dict[str, Any] = {
            "corrections": [{"pointer": at, "value": value} for at, value in corrections.items()],
            "confirmed": list(confirmed),
        }
        named = {"reviewer": reviewer, "if_version": if_version}
        body |= {name: value for name, value in named.items() if value is not None}
        url_path = f"{api_path('jobs', job_id)}/review"
        reviewed = yield from self.request_json("POST", url_path, json=body)
        return cast("ReviewData", reviewed["review"])

    def export(self, job_id: str, form: ResultForm, *, corrected: bool = False) -> Steps[bytes]:
        """Return the result of an ended job as a file."""
        request = Request(
            "GET",
            f"{api_path('jobs', job_id)}/result",
            params={"format": form} | ({"corrected": "true"} if corrected else {}),
            headers={"Accept": "*/*"},
        )
        reply = yield from send_with_retries(request, self.policy)
        return reply.body

    def change_job(self, job_id: str, action: str, *, repeatable: bool) -> Steps[JobData]:
        """Post an action, `cancel` or `retry`; return the job that results."""
        request = Request("POST", f"{api_path('jobs', job_id)}/{action}", repeatable=repeatable)
        return _job((yield from send_with_retries(request, self.policy)))

    def stream(self, job_id: str, after: int = 0) -> Steps[None]:
        """Emit a job's events to its end, resuming after a lost connection.

        Raises NoConnection after too many failures in a row.
        """
        failures = 0
        while True:
            parser = Parser()
            try:
                yield from send_with_retries(self._stream_request(job_id, after), self.policy)
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
        return Request("GET", f"{api_path('jobs', job_id)}/events", headers=headers, stream=True)

    # estimates, images, webhooks

    def estimate(
        self, prompt: str | None, images: list[ImageSource], options: SubmitOptions
    ) -> Steps[EstimateData]:
        """Return what a submission would cost, without submitting it."""
        loaded = yield from load_all(images)
        body = _request_body(prompt, loaded, options)
        estimate: EstimateData = yield from self.request_json("POST", api_path("estimate"), **body)
        return estimate

    def upload(self, source: ImageSource, *, warm: bool, detail: str) -> Steps[ImageData]:
        """Upload an image, unless this client did so before and the service still has it."""
        (image,) = yield from load_all([source])
        digest = hashlib.sha256(image.data).hexdigest() if image.data else ""
        known = self._uploaded.get(digest)
        if known and not warm:
            try:
                return cast(
                    "ImageData", (yield from self.request_json("GET", api_path("images", known)))
                )
            except NotFound:
                del self._uploaded[digest]
        params = {"warm": "true", "detail": detail} if warm else {}
        body: dict[str, Any] = {"json": {"image": image.text}}
        if not image.text:
            body = {"files": (("image", (image.name, image.data)),)}
        uploaded: ImageData = yield from self.request_json(
            "POST", "/v1/images", params=params, **body
        )
        if digest:
            self._remember(digest, uploaded["id"])
        return uploaded

    def _remember(self, digest: str, image_id: str) -> None:
        self._uploaded[digest] = image_id
        if len(self._uploaded) > _REMEMBERED_UPLOADS:
            del self._uploaded[next(iter(self._uploaded))]

    def create_batch(
        self, data: bytes, *, endpoint: str, window: str, name: str
    ) -> Steps[dict[str, Any]]:
        """Store the lines of a batch and start it, once."""
        file = yield from self.request_json(
            "POST", api_path("files"), form={"purpose": "batch"}, files=(("file", (name, data)),)
        )
        body = {"input_file_id": file["id"], "endpoint": endpoint, "completion_window": window}
        batch: dict[str, Any] = yield from self.request_json(
            "POST", api_path("batches"), json=body, repeatable=False
        )
        return batch

    def file_content(self, file_id: str) -> Steps[bytes]:
        """Return the content of a file."""
        request = Request("GET", f"{api_path('files', file_id)}/content")
        reply = yield from send_with_retries(request, self.policy)
        return reply.body

    def replay_failed(self, since: dt.datetime | str) -> Steps[int]:
        """Send again all deliveries that failed since a time; return how many."""
        moment = since if isinstance(since, str) else since.astimezone(dt.UTC).isoformat()
        outcome = yield from self.request_json(
            "POST", api_path("deliveries", "replay"), json={"since": moment}
        )
        return int(outcome["replayed"])


def api_path(*parts: str) -> str:
    """Return a path under `/v1/`; each part is escaped and becomes one segment."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _job(reply: Reply) -> JobData:
    return cast("JobData", reply.json())


def _deadline(timeout_s: float | None) -> float | None:
    return None if timeout_s is None else time.monotonic() + timeout_s


def _remaining_s(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - time.monotonic()


def _request_body(
    prompt: str | None, images: list[LoadedImage], options: SubmitOptions
) -> dict[str, Any]:
    """Return a form if all images are bytes, else JSON, which keeps their order."""
    fields: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if prompt is not None:
        fields["prompt"] = prompt
    if images and not any(image.text for image in images):
        files = tuple(("image", (image.name, image.data)) for image in images)
        return {
            "form": {name: _form_value(value) for name, value in fields.items()},
            "files": files,
        }
    if images:
        fields["images"] = [image.as_text() for image in images]
    return {"json": fields}


def _document_body(
    prompt: str | None, document: LoadedImage, options: SubmitOptions
) -> dict[str, Any]:
    """Return a form for a file, else JSON that names the document; pictures are taken as well."""
    if document.text.lower().startswith("doc_"):
        body = _request_body(prompt, [], options)
        body["json"]["document"] = document.text
        return body
    # a file in the place of an image is told by its content
    return _request_body(prompt, [document], options)


def _form_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def usage_params(first: str | None, last: str | None, by: str, key: str | None) -> dict[str, str]:
    """Return the query of a request for usage."""
    params = {"from": first, "to": last, "by": by, "key": key}
    return {name: value for name, value in params.items() if value is not None}

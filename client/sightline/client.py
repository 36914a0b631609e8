"""The blocking client: Client, Job, Reading, Session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self, Unpack

import httpx

from sightline._api import Api, OnUpdate, api_path, find_options, usage_params
from sightline._images import ImageSource, ImageSources, as_list
from sightline._pages import Page, PageCollector
from sightline._steps import Policy
from sightline._transport import http as _http
from sightline._transport.blocking import Runner
from sightline._transport.sse import Event
from sightline.jobs import Answer, JobView, answer_of, warned_answer
from sightline.types import (
    DeliveryData,
    Detail,
    EstimateData,
    ImageData,
    JobData,
    JobStatus,
    ModelData,
    PresetData,
    QueueData,
    ResultForm,
    ReviewData,
    RuleData,
    SecretData,
    SessionData,
    SessionSummary,
    SubmitOptions,
    UsageReport,
)


class Client:
    """Talks to one Sightline service; threads may share it."""

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 5,
        headers: dict[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`url` and `api_key` default to SIGHTLINE_URL and SIGHTLINE_API_KEY.

        Without an address it is the one service that `make up` runs here, or port 7860.

        `timeout` is the seconds that a response may take, beyond the time of a long poll.
        Temporary failures are retried `retries` times, with growing pauses. Raises ValueError for
        a `url` that is not http(s).
        """
        http = httpx.Client(
            **_http.client_options(url, api_key, timeout, headers), transport=transport
        )
        self._runner = Runner(http, Api(Policy(retries=retries)))

    def close(self) -> None:
        """Close its connections."""
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # questions

    def ask(
        self,
        prompt: str | None = None,
        images: ImageSources = (),
        *,
        timeout: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Answer:
        """Ask and wait for the answer; raises JobFailed, and WaitTimeout after `timeout` s."""
        return warned_answer(
            self._runner.run(self._runner.api.ask(prompt, as_list(images), options, timeout))
        )

    def submit(
        self,
        prompt: str | None = None,
        images: ImageSources = (),
        *,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Job:
        """Submit a question; the same key with the same question gives the same job."""
        steps = self._runner.api.submit(prompt, as_list(images), options, key=idempotency_key)
        data, replayed = self._runner.run(steps)
        return Job(self._runner, data, replayed=replayed)

    def read(
        self,
        document: ImageSource,
        *,
        prompt: str | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Reading:
        """Read a document, such as a PDF; iterate over the result for its pages as they come.

        `pages="1-3,7,-1"` reads some of them; the preset is `ocr` unless you name another.
        """
        if prompt is None:
            options.setdefault("preset", "ocr")
        steps = self._runner.api.submit(prompt, [], options, key=idempotency_key, document=document)
        data, replayed = self._runner.run(steps)
        return Reading(Job(self._runner, data, replayed=replayed))

    def find(
        self,
        images: ImageSources,
        labels: str | Sequence[str] = (),
        /,
        *,
        timeout: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Answer:
        """Find where words are printed and where things are; `answer.objects` has each place.

        `client.find("scan.pdf", "Total")`, or with `phrase="the place of delivery"` in place of
        labels. Raises as `ask`; an answer without objects is no error.
        """
        terms = find_options(labels, options)
        return warned_answer(
            self._runner.run(self._runner.api.ask(None, as_list(images), terms, timeout))
        )

    def estimate(
        self,
        prompt: str | None = None,
        images: ImageSources = (),
        **options: Unpack[SubmitOptions],
    ) -> EstimateData:
        """Return what a submission would cost and how long it would wait, without submitting."""
        return self._runner.run(self._runner.api.estimate(prompt, as_list(images), options))

    def job(self, job_id: str) -> Job:
        """Return a job by its id; raises NotFound."""
        return Job(self._runner, self._runner.run(self._runner.api.read(job_id)))

    def jobs(
        self,
        *,
        status: JobStatus | None = None,
        session_id: str | None = None,
        limit: int | None = None,
        whole: bool = True,
    ) -> Iterator[Job]:
        """Yield jobs, newest first, fetched page by page while you iterate.

        `whole`: long answers are read one by one, which lists have the beginning of.
        """
        params = {"status": status, "session_id": session_id}
        filters = {name: value for name, value in params.items() if value is not None}
        for data in self._runner.each(self._runner.api.list_jobs(limit, filters, whole=whole)):
            yield Job(self._runner, data)

    def review(
        self,
        job_id: str,
        corrections: Mapping[str, Any] | None = None,
        *,
        confirmed: Iterable[str] = (),
        reviewer: str | None = None,
        if_version: int | None = None,
    ) -> ReviewData:
        """Say what is right in the output of a job, by JSON pointer, such as `/lines/3/text`.

        The output stays as it is, and the same again changes nothing. Raises BadReview,
        NotReviewable, and ReviewChanged if the review has another version than `if_version`.
        """
        steps = self._runner.api.review(job_id, corrections or {}, confirmed, reviewer, if_version)
        return self._runner.run(steps)

    # images

    def upload(
        self, image: ImageSource, *, warm: bool = False, detail: Detail = "auto"
    ) -> ImageData:
        """Upload an image once; use its `id` in questions. `warm` has it encoded right away."""
        return self._runner.run(self._runner.api.upload(image, warm=warm, detail=detail))

    def image(self, image_id: str) -> ImageData:
        """Return the data of an uploaded image; raises NotFound."""
        return self._runner.run(self._runner.api.request_json("GET", api_path("images", image_id)))

    def delete_image(self, image_id: str) -> None:
        """Delete an uploaded image."""
        self._runner.run(self._runner.api.delete(api_path("images", image_id)))

    # conversations

    def session(self, session_id: str) -> Session:
        """Return a conversation with an id you choose; its first question creates it."""
        return Session(self._runner, session_id)

    def sessions(self, *, limit: int = 20) -> list[SessionSummary]:
        """Return conversations, last used first; `limit` is at most 100."""
        return self._runner.run(
            self._runner.api.request_list(api_path("sessions"), limit=str(limit))
        )

    # the service

    def presets(self) -> list[PresetData]:
        """Return the presets."""
        return self._runner.run(self._runner.api.request_list(api_path("presets")))

    def rules(self) -> list[RuleData]:
        """Return the rules that `postprocess` may name."""
        listed = self._runner.run(self._runner.api.request_json("GET", api_path("presets")))
        rules: list[RuleData] = listed["rules"]
        return rules

    def limits(self) -> dict[str, Any]:
        """Return the limits that apply to requests."""
        return self._runner.run(self._runner.api.request_json("GET", api_path("limits")))

    def queue(self) -> QueueData:
        """Return the present load of the queue and of the workers."""
        return self._runner.run(self._runner.api.request_json("GET", api_path("queue")))

    def models(self) -> list[ModelData]:
        """Return the models that are loaded."""
        return self._runner.run(self._runner.api.request_list(api_path("models")))

    def usage(
        self,
        *,
        first: str | None = None,
        last: str | None = None,
        by: Literal["day", "month"] = "day",
        key: str | None = None,
    ) -> UsageReport:
        """Return what a key has used between two days such as "2026-11-28", in UTC.

        Without days this month, without `key` the own one; another, or `all`, needs the scope
        admin.
        """
        params = usage_params(first, last, by, key)
        return self._runner.run(
            self._runner.api.request_json("GET", api_path("usage"), params=params)
        )

    # batches

    def create_batch(
        self, data: bytes, *, endpoint: str, window: str = "24h", name: str = "batch.jsonl"
    ) -> dict[str, Any]:
        """Run every line of `data`, a request each in OpenAI's form, as a job of low priority."""
        return self._runner.run(
            self._runner.api.create_batch(data, endpoint=endpoint, window=window, name=name)
        )

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return a batch with its counts and, once it has ended, the ids of its files."""
        return self._runner.run(self._runner.api.request_json("GET", api_path("batches", batch_id)))

    def cancel_batch(self, batch_id: str) -> dict[str, Any]:
        """Submit no more lines and cancel the jobs in hand; the results so far stay."""
        url_path = f"{api_path('batches', batch_id)}/cancel"
        return self._runner.run(self._runner.api.request_json("POST", url_path))

    def file_content(self, file_id: str) -> bytes:
        """Return the content of a file, such as the results of a batch."""
        return self._runner.run(self._runner.api.file_content(file_id))

    # groups

    def describe_group(
        self,
        group: str,
        *,
        size: int | None = None,
        webhook: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Say how many jobs a group will have, and the URL that is told when all have ended."""
        body = {"size": size, "webhook": webhook, "metadata": metadata}
        return self._runner.run(
            self._runner.api.request_json("PUT", api_path("groups", group), json=body)
        )

    def group(self, group: str) -> dict[str, Any]:
        """Return a group of jobs with its counts; raises NotFound."""
        return self._runner.run(self._runner.api.request_json("GET", api_path("groups", group)))

    def cancel_group(self, group: str) -> dict[str, Any]:
        """Cancel all jobs of a group that have not ended."""
        url_path = f"{api_path('groups', group)}/cancel"
        return self._runner.run(self._runner.api.request_json("POST", url_path))

    def retry_group(self, group: str) -> dict[str, Any]:
        """Make a new job for each one of a group that failed or expired, as there is room."""
        url_path = f"{api_path('groups', group)}/retry"
        return self._runner.run(self._runner.api.request_json("POST", url_path))

    # webhooks

    def webhook_secret(self, *, rotate: bool = False) -> SecretData:
        """Return the signing secret, shown only once; `rotate` replaces it."""
        url_path = api_path("webhooks", "secret")
        if rotate:
            steps = self._runner.api.request_json("POST", f"{url_path}/rotate", repeatable=False)
        else:
            steps = self._runner.api.request_json("GET", url_path)
        return self._runner.run(steps)

    def test_webhook(self, url: str) -> DeliveryData:
        """Have a signed test message sent to a URL, once."""
        url_path = api_path("webhooks", "test")
        return self._runner.run(
            self._runner.api.request_json("POST", url_path, json={"url": url}, repeatable=False)
        )

    def webhook_endpoints(self) -> list[dict[str, Any]]:
        """Return the hosts that webhooks go to, with the state of each."""
        return self._runner.run(self._runner.api.request_list(api_path("webhooks", "endpoints")))

    def delivery(self, delivery_id: str) -> DeliveryData:
        """Return a delivery with all its attempts."""
        return self._runner.run(
            self._runner.api.request_json("GET", api_path("deliveries", delivery_id))
        )

    def replay(self, delivery_id: str) -> DeliveryData:
        """Send a delivery again."""
        return self._runner.run(
            self._runner.api.request_json("POST", api_path("deliveries", delivery_id, "replay"))
        )

    def replay_failed(self, since: dt.datetime | str) -> int:
        """Send again the deliveries that failed since a time, at most 1000; return how many."""
        return self._runner.run(self._runner.api.replay_failed(since))


class Job(JobView):
    """A job of a Client."""

    def __init__(self, runner: Runner, data: JobData, *, replayed: bool = False) -> None:
        super().__init__(data, replayed=replayed)
        self._runner = runner

    def refresh(self) -> Self:
        """Read the job again."""
        self.data = self._runner.run(self._runner.api.read(self.id))
        return self

    def wait(self, timeout: float | None = None, on_update: OnUpdate | None = None) -> Self:
        """Wait until it ended; raises WaitTimeout. `on_update` is called with each new state."""
        steps = self._runner.api.wait(self.data, timeout, on_update)
        self.data = self._runner.run(steps)
        return self

    def result(self, timeout: float | None = None) -> Answer:
        """Wait for its answer; raises JobFailed and WaitTimeout."""
        return warned_answer(self.wait(timeout).data)

    def export(self, form: ResultForm, *, corrected: bool = False) -> bytes:
        """Return the result of the ended job as a file; raises Conflict if it has no boxes.

        `corrected`: with the corrections of its review.
        """
        steps = self._runner.api.export(self.id, form, corrected=corrected)
        return self._runner.run(steps)

    def stream(self, after: int = 0) -> Iterator[Event]:
        """Yield its events after number `after`; reconnects, and raises NoConnection at last."""
        for event in self._runner.each(self._runner.api.stream(self.id, after)):
            self.data = event.data if "status" in event.data else self.data
            yield event

    def cancel(self) -> Self:
        """Stop it; raises NotCancelable when it has ended already."""
        self.data = self._runner.run(
            self._runner.api.change_job(self.id, "cancel", repeatable=True)
        )
        return self

    def retry(self) -> Job:
        """Return a new job with the same request; raises NotRetryable."""
        steps = self._runner.api.change_job(self.id, "retry", repeatable=False)
        return Job(self._runner, self._runner.run(steps))

    def erase(self) -> None:
        """Cancel it and delete all its data."""
        self._runner.run(self._runner.api.delete(api_path("jobs", self.id)))

    def deliveries(self) -> list[DeliveryData]:
        """Return its webhook deliveries."""
        url_path = api_path("jobs", self.id, "deliveries")
        return self._runner.run(self._runner.api.request_list(url_path))


class Reading:
    """A document that is being read: iterate over its pages as they come."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __iter__(self) -> Iterator[Page]:
        """Yield each page once, in the order in which pages become ready.

        Raises JobFailed behind the last page of a job that did not succeed.
        """
        collector = PageCollector()
        for event in self.job.stream():
            yield from collector.take(event)
        answer_of(self.job.data)

    def result(self, timeout: float | None = None) -> Answer:
        """Wait for all of it; raises JobFailed and WaitTimeout."""
        return warned_answer(self.job.wait(timeout).data)


class Session:
    """A conversation: its questions share images and earlier turns."""

    def __init__(self, runner: Runner, session_id: str) -> None:
        self._runner = runner
        self.id = session_id

    def ask(
        self,
        prompt: str | None = None,
        images: ImageSources = (),
        *,
        timeout: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Answer:
        """Ask within the conversation, as `Client.ask` does; raises SessionBusy."""
        options["session_id"] = self.id
        steps = self._runner.api.ask(prompt, as_list(images), options, timeout)
        return warned_answer(self._runner.run(steps))

    def submit(
        self,
        prompt: str | None = None,
        images: ImageSources = (),
        **options: Unpack[SubmitOptions],
    ) -> Job:
        """Submit within the conversation, as `Client.submit` does; raises SessionBusy."""
        options["session_id"] = self.id
        steps = self._runner.api.submit(prompt, as_list(images), options)
        data, replayed = self._runner.run(steps)
        return Job(self._runner, data, replayed=replayed)

    def read(self) -> SessionData:
        """Return its turns and images; raises NotFound before the first question."""
        return self._runner.run(self._runner.api.request_json("GET", api_path("sessions", self.id)))

    def delete(self) -> None:
        """Delete it; its jobs stay."""
        self._runner.run(self._runner.api.delete(api_path("sessions", self.id)))

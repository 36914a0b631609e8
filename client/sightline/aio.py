"""The asynchronous client: AsyncClient, AsyncJob, AsyncReading, AsyncSession."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Literal, Self, Unpack

import httpx

from sightline._api import Api, OnUpdate, api_path, find_options, usage_params
from sightline._images import ImageSource, ImageSources, as_list
from sightline._pages import Page, PageCollector
from sightline._steps import Policy
from sightline._transport import http as _http
from sightline._transport.asynchronous import AsyncRunner
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


class AsyncClient:
    """Talks to one Sightline service; tasks may share it."""

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 5,
        headers: dict[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`url` and `api_key` default to SIGHTLINE_URL and SIGHTLINE_API_KEY.

        Without an address it is the one service that `make up` runs here, or port 7860.

        `timeout` is the seconds that a response may take, beyond the time of a long poll.
        Temporary failures are retried `retries` times, with growing pauses. Raises ValueError for
        a `url` that is not http(s).
        """
        http = httpx.AsyncClient(
            **_http.client_options(url, api_key, timeout, headers), transport=transport
        )
        self._runner = AsyncRunner(http, Api(Policy(retries=retries)))

    async def close(self) -> None:
        """Close its connections."""
        await self._runner.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # questions

    async def ask(
        self,
        prompt: str | None = None,
        images: ImageSources = (),
        *,
        timeout: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Answer:
        """Ask and wait for the answer; raises JobFailed, and WaitTimeout after `timeout` s."""
        return warned_answer(
            await self._runner.run(self._runner.api.ask(prompt, as_list(images), options, timeout))
        )

    async def submit(
        self,
        prompt: str | None = None,
        images: ImageSources = (),
        *,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> AsyncJob:
        """Submit a question; the same key with the same question gives the same job."""
        steps = self._runner.api.submit(prompt, as_list(images), options, key=idempotency_key)
        data, replayed = await self._runner.run(steps)
        return AsyncJob(self._runner, data, replayed=replayed)

    async def read(
        self,
        document: ImageSource,
        *,
        prompt: str | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> AsyncReading:
        """Read a document, such as a PDF; iterate over the result for its pages as they come.

        `pages="1-3,7,-1"` reads some of them; the preset is `ocr` unless you name another.
        """
        if prompt is None:
            options.setdefault("preset", "ocr")
        steps = self._runner.api.submit(prompt, [], options, key=idempotency_key, document=document)
        data, replayed = await self._runner.run(steps)
        return AsyncReading(AsyncJob(self._runner, data, replayed=replayed))

    async def find(
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
        steps = self._runner.api.ask(None, as_list(images), terms, timeout)
        return warned_answer(await self._runner.run(steps))

    async def estimate(
        self,
        prompt: str | None = None,
        images: ImageSources = (),
        **options: Unpack[SubmitOptions],
    ) -> EstimateData:
        """Return what a submission would cost and how long it would wait, without submitting."""
        return await self._runner.run(self._runner.api.estimate(prompt, as_list(images), options))

    async def job(self, job_id: str) -> AsyncJob:
        """Return a job by its id; raises NotFound."""
        return AsyncJob(self._runner, await self._runner.run(self._runner.api.read(job_id)))

    async def jobs(
        self,
        *,
        status: JobStatus | None = None,
        session_id: str | None = None,
        limit: int | None = None,
        whole: bool = True,
    ) -> AsyncIterator[AsyncJob]:
        """Yield jobs, newest first, fetched page by page while you iterate.

        `whole`: long answers are read one by one, which lists have the beginning of.
        """
        params = {"status": status, "session_id": session_id}
        filters = {name: value for name, value in params.items() if value is not None}
        async for data in self._runner.each(
            self._runner.api.list_jobs(limit, filters, whole=whole)
        ):
            yield AsyncJob(self._runner, data)

    async def review(
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
        return await self._runner.run(steps)

    # images

    async def upload(
        self, image: ImageSource, *, warm: bool = False, detail: Detail = "auto"
    ) -> ImageData:
        """Upload an image once; use its `id` in questions. `warm` has it encoded right away."""
        return await self._runner.run(self._runner.api.upload(image, warm=warm, detail=detail))

    async def image(self, image_id: str) -> ImageData:
        """Return the data of an uploaded image; raises NotFound."""
        return await self._runner.run(
            self._runner.api.request_json("GET", api_path("images", image_id))
        )

    async def delete_image(self, image_id: str) -> None:
        """Delete an uploaded image."""
        await self._runner.run(self._runner.api.delete(api_path("images", image_id)))

    # conversations

    def session(self, session_id: str) -> AsyncSession:
        """Return a conversation with an id you choose; its first question creates it."""
        return AsyncSession(self._runner, session_id)

    async def sessions(self, *, limit: int = 20) -> list[SessionSummary]:
        """Return conversations, last used first; `limit` is at most 100."""
        return await self._runner.run(
            self._runner.api.request_list(api_path("sessions"), limit=str(limit))
        )

    # the service

    async def presets(self) -> list[PresetData]:
        """Return the presets."""
        return await self._runner.run(self._runner.api.request_list(api_path("presets")))

    async def rules(self) -> list[RuleData]:
        """Return the rules that `postprocess` may name."""
        listed = await self._runner.run(self._runner.api.request_json("GET", api_path("presets")))
        rules: list[RuleData] = listed["rules"]
        return rules

    async def limits(self) -> dict[str, Any]:
        """Return the limits that apply to requests."""
        return await self._runner.run(self._runner.api.request_json("GET", api_path("limits")))

    async def queue(self) -> QueueData:
        """Return the present load of the queue and of the workers."""
        return await self._runner.run(self._runner.api.request_json("GET", api_path("queue")))

    async def models(self) -> list[ModelData]:
        """Return the models that are loaded."""
        return await self._runner.run(self._runner.api.request_list(api_path("models")))

    async def usage(
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
        return await self._runner.run(
            self._runner.api.request_json("GET", api_path("usage"), params=params)
        )

    # batches

    async def create_batch(
        self, data: bytes, *, endpoint: str, window: str = "24h", name: str = "batch.jsonl"
    ) -> dict[str, Any]:
        """Run every line of `data`, a request each in OpenAI's form, as a job of low priority."""
        return await self._runner.run(
            self._runner.api.create_batch(data, endpoint=endpoint, window=window, name=name)
        )

    async def batch(self, batch_id: str) -> dict[str, Any]:
        """Return a batch with its counts and, once it has ended, the ids of its files."""
        return await self._runner.run(
            self._runner.api.request_json("GET", api_path("batches", batch_id))
        )

    async def cancel_batch(self, batch_id: str) -> dict[str, Any]:
        """Submit no more lines and cancel the jobs in hand; the results so far stay."""
        url_path = f"{api_path('batches', batch_id)}/cancel"
        return await self._runner.run(self._runner.api.request_json("POST", url_path))

    async def file_content(self, file_id: str) -> bytes:
        """Return the content of a file, such as the results of a batch."""
        return await self._runner.run(self._runner.api.file_content(file_id))

    # groups

    async def describe_group(
        self,
        group: str,
        *,
        size: int | None = None,
        webhook: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Say how many jobs a group will have, and the URL that is told when all have ended."""
        body = {"size": size, "webhook": webhook, "metadata": metadata}
        return await self._runner.run(
            self._runner.api.request_json("PUT", api_path("groups", group), json=body)
        )

    async def group(self, group: str) -> dict[str, Any]:
        """Return a group of jobs with its counts; raises NotFound."""
        return await self._runner.run(
            self._runner.api.request_json("GET", api_path("groups", group))
        )

    async def cancel_group(self, group: str) -> dict[str, Any]:
        """Cancel all jobs of a group that have not ended."""
        url_path = f"{api_path('groups', group)}/cancel"
        return await self._runner.run(self._runner.api.request_json("POST", url_path))

    async def retry_group(self, group: str) -> dict[str, Any]:
        """Make a new job for each one of a group that failed or expired, as there is room."""
        url_path = f"{api_path('groups', group)}/retry"
        return await self._runner.run(self._runner.api.request_json("POST", url_path))

    # webhooks

    async def webhook_secret(self, *, rotate: bool = False) -> SecretData:
        """Return the signing secret, shown only once; `rotate` replaces it."""
        url_path = api_path("webhooks", "secret")
        if rotate:
            steps = self._runner.api.request_json("POST", f"{url_path}/rotate", repeatable=False)
        else:
            steps = self._runner.api.request_json("GET", url_path)
        return await self._runner.run(steps)

    async def test_webhook(self, url: str) -> DeliveryData:
        """Have a signed test message sent to a URL, once."""
        url_path = api_path("webhooks", "test")
        return await self._runner.run(
            self._runner.api.request_json("POST", url_path, json={"url": url}, repeatable=False)
        )

    async def webhook_endpoints(self) -> list[dict[str, Any]]:
        """Return the hosts that webhooks go to, with the state of each."""
        return await self._runner.run(
            self._runner.api.request_list(api_path("webhooks", "endpoints"))
        )

    async def delivery(self, delivery_id: str) -> DeliveryData:
        """Return a delivery with all its attempts."""
        return await self._runner.run(
            self._runner.api.request_json("GET", api_path("deliveries", delivery_id))
        )

    async def replay(self, delivery_id: str) -> DeliveryData:
        """Send a delivery again."""
        return await self._runner.run(
            self._runner.api.request_json("POST", api_path("deliveries", delivery_id, "replay"))
        )

    async def replay_failed(self, since: dt.datetime | str) -> int:
        """Send again the deliveries that failed since a time, at most 1000; return how many."""
        return await self._runner.run(self._runner.api.replay_failed(since))


class AsyncJob(JobView):
    """A job of a client."""

    def __init__(self, runner: AsyncRunner, data: JobData, *, replayed: bool = False) -> None:
        super().__init__(data, replayed=replayed)
        self._runner = runner

    async def refresh(self) -> Self:
        """Read the job again."""
        self.data = await self._runner.run(self._runner.api.read(self.id))
        return self

    async def wait(self, timeout: float | None = None, on_update: OnUpdate | None = None) -> Self:
        """Wait until it ended; raises WaitTimeout. `on_update` is called with each new state."""
        steps = self._runner.api.wait(self.data, timeout, on_update)
        self.data = await self._runner.run(steps)
        return self

    async def result(self, timeout: float | None = None) -> Answer:
        """Wait for its answer; raises JobFailed and WaitTimeout."""
        return warned_answer((await self.wait(timeout)).data)

    async def export(self, form: ResultForm, *, corrected: bool = False) -> bytes:
        """Return the result of the ended job as a file; raises Conflict if it has no boxes.

        `corrected`: with the corrections of its review.
        """
        steps = self._runner.api.export(self.id, form, corrected=corrected)
        return await self._runner.run(steps)

    async def stream(self, after: int = 0) -> AsyncIterator[Event]:
        """Yield its events after number `after`; reconnects, and raises NoConnection at last."""
        async for event in self._runner.each(self._runner.api.stream(self.id, after)):
            self.data = event.data if "status" in event.data else self.data
            yield event

    async def cancel(self) -> Self:
        """Stop it; raises NotCancelable when it has ended already."""
        self.data = await self._runner.run(
            self._runner.api.change_job(self.id, "cancel", repeatable=True)
        )
        return self

    async def retry(self) -> AsyncJob:
        """Return a new job with the same request; raises NotRetryable."""
        steps = self._runner.api.change_job(self.id, "retry", repeatable=False)
        return AsyncJob(self._runner, await self._runner.run(steps))

    async def erase(self) -> None:
        """Cancel it and delete all its data."""
        await self._runner.run(self._runner.api.delete(api_path("jobs", self.id)))

    async def deliveries(self) -> list[DeliveryData]:
        """Return its webhook deliveries."""
        url_path = api_path("jobs", self.id, "deliveries")
        return await self._runner.run(self._runner.api.request_list(url_path))


class AsyncReading:
    """A document that is being read: an asynchronous iterator over its pages, as they come."""

    def __init__(self, job: AsyncJob) -> None:
        self.job = job

    async def __aiter__(self) -> AsyncIterator[Page]:
        """Yield each page once, in the order in which pages become ready.

        Raises JobFailed behind the last page of a job that did not succeed.
        """
        collector = PageCollector()
        async for event in self.job.stream():
            for page in collector.take(event):
                yield page
        answer_of(self.job.data)

    async def result(self, timeout: float | None = None) -> Answer:
        """Wait for all of it; raises JobFailed and WaitTimeout."""
        return warned_answer((await self.job.wait(timeout)).data)


class AsyncSession:
    """A conversation: its questions share images and earlier turns."""

    def __init__(self, runner: AsyncRunner, session_id: str) -> None:
        self._runner = runner
        self.id = session_id

    async def ask(
        self,
        prompt: str | None = None,
        images: ImageSources = (),
        *,
        timeout: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Answer:
        """Ask within the conversation, as `AsyncClient.ask` does; raises SessionBusy."""
        options["session_id"] = self.id
        steps = self._runner.api.ask(prompt, as_list(images), options, timeout)
        return warned_answer(await self._runner.run(steps))

    async def submit(
        self,
        prompt: str | None = None,
        images: ImageSources = (),
        **options: Unpack[SubmitOptions],
    ) -> AsyncJob:
        """Submit within the conversation, as `AsyncClient.submit` does; raises SessionBusy."""
        options["session_id"] = self.id
        steps = self._runner.api.submit(prompt, as_list(images), options)
        data, replayed = await self._runner.run(steps)
        return AsyncJob(self._runner, data, replayed=replayed)

    async def read(self) -> SessionData:
        """Return its turns and images; raises NotFound before the first question."""
        return await self._runner.run(
            self._runner.api.request_json("GET", api_path("sessions", self.id))
        )

    async def delete(self) -> None:
        """Delete it; its jobs stay."""
        await self._runner.run(self._runner.api.delete(api_path("sessions", self.id)))

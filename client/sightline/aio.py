"""The client with `await`."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any, Self, Unpack

import httpx

from sightline import _http
from sightline._api import Api, OnUpdate, path
from sightline._async import AsyncRunner
from sightline._images import ImageSource, ImageSources, as_list
from sightline._sse import Event
from sightline._steps import Policy
from sightline.jobs import Answer, JobView, answer_of
from sightline.types import (
    DeliveryData,
    Detail,
    EstimateData,
    ImageData,
    JobData,
    JobStatus,
    SecretData,
    SessionData,
    SessionSummary,
    SubmitOptions,
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

        `timeout` is the seconds that an answer may take beyond the time for which the service was
        asked to wait. What fails in passing is repeated `retries` times, after pauses that grow.
        """
        http = httpx.AsyncClient(
            **_http.options(url, api_key, timeout, headers), transport=transport
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
        return answer_of(
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
        """Put a question into the queue; the same key and question give the same job."""
        steps = self._runner.api.submit(prompt, as_list(images), options, key=idempotency_key)
        data, replayed = await self._runner.run(steps)
        return AsyncJob(self._runner, data, replayed=replayed)

    async def estimate(
        self,
        prompt: str | None = None,
        images: ImageSources = (),
        **options: Unpack[SubmitOptions],
    ) -> EstimateData:
        """Return what a submission would cost and how long it would wait; nothing is done."""
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
    ) -> AsyncIterator[AsyncJob]:
        """Yield jobs, newest first, page by page as they are taken."""
        params = {"status": status, "session_id": session_id}
        given = {name: value for name, value in params.items() if value is not None}
        async for data in self._runner.each(self._runner.api.pages(path("jobs"), limit, given)):
            yield AsyncJob(self._runner, data)

    # images

    async def upload(
        self, image: ImageSource, *, warm: bool = False, detail: Detail = "auto"
    ) -> ImageData:
        """Upload an image once; its `id` stands for it in questions. `warm` encodes it now."""
        return await self._runner.run(self._runner.api.upload(image, warm=warm, detail=detail))

    async def image(self, image_id: str) -> ImageData:
        """Return what is known of an uploaded image."""
        return await self._runner.run(self._runner.api.ask_json("GET", path("images", image_id)))

    async def delete_image(self, image_id: str) -> None:
        """Forget an uploaded image."""
        await self._runner.run(self._runner.api.delete(path("images", image_id)))

    # conversations

    def session(self, session_id: str) -> AsyncSession:
        """Return a conversation under an id of your own; the first question makes it."""
        return AsyncSession(self._runner, session_id)

    async def sessions(self, *, limit: int = 20) -> list[SessionSummary]:
        """Return conversations, the one used last first; `limit` up to 100."""
        return await self._runner.run(self._runner.api.ask_list(path("sessions"), limit=str(limit)))

    # the service

    async def presets(self) -> dict[str, Any]:
        """Return `data`, the presets, and `rules`, the rules for answers."""
        return await self._runner.run(self._runner.api.ask_json("GET", path("presets")))

    async def limits(self) -> dict[str, Any]:
        """Return every limit that applies to a request."""
        return await self._runner.run(self._runner.api.ask_json("GET", path("limits")))

    async def queue(self) -> dict[str, Any]:
        """Return how full the service is."""
        return await self._runner.run(self._runner.api.ask_json("GET", path("queue")))

    async def models(self) -> list[dict[str, Any]]:
        """Return the models that are loaded."""
        return await self._runner.run(self._runner.api.ask_list(path("models")))

    # webhooks

    async def webhook_secret(self, *, rotate: bool = False) -> SecretData:
        """Return the signing secret, shown once; `rotate` replaces it."""
        where = path("webhooks", "secret")
        if rotate:
            steps = self._runner.api.ask_json("POST", f"{where}/rotate", repeatable=False)
        else:
            steps = self._runner.api.ask_json("GET", where)
        return await self._runner.run(steps)

    async def test_webhook(self, url: str) -> DeliveryData:
        """Have a signed test message sent to a URL, once."""
        where = path("webhooks", "test")
        return await self._runner.run(
            self._runner.api.ask_json("POST", where, json={"url": url}, repeatable=False)
        )

    async def webhook_endpoints(self) -> list[dict[str, Any]]:
        """Return the hosts that webhooks go to, and how they fare."""
        return await self._runner.run(self._runner.api.ask_list(path("webhooks", "endpoints")))

    async def delivery(self, delivery_id: str) -> DeliveryData:
        """Return a delivery with all its attempts."""
        return await self._runner.run(
            self._runner.api.ask_json("GET", path("deliveries", delivery_id))
        )

    async def replay(self, delivery_id: str) -> DeliveryData:
        """Send a delivery again."""
        return await self._runner.run(
            self._runner.api.ask_json("POST", path("deliveries", delivery_id, "replay"))
        )

    async def replay_failed(self, since: dt.datetime | str) -> int:
        """Send again what has failed since a time, at most 1000; return how many."""
        return await self._runner.run(self._runner.api.replay_failed(since))


class AsyncJob(JobView):
    """A job of a client."""

    def __init__(self, runner: AsyncRunner, data: JobData, *, replayed: bool = False) -> None:
        super().__init__(data, replayed=replayed)
        self._runner = runner

    async def refresh(self) -> Self:
        """Look at it again."""
        self.data = await self._runner.run(self._runner.api.read(self.id))
        return self

    async def wait(self, timeout: float | None = None, on_update: OnUpdate | None = None) -> Self:
        """Wait for its end, whichever; raises WaitTimeout. `on_update` sees it on the way."""
        steps = self._runner.api.wait(self.data, timeout, on_update)
        self.data = await self._runner.run(steps)
        return self

    async def result(self, timeout: float | None = None) -> Answer:
        """Wait for its answer; raises JobFailed and WaitTimeout."""
        return answer_of((await self.wait(timeout)).data)

    async def stream(self, after: int = 0) -> AsyncIterator[Event]:
        """Yield its events until its end, across broken connections; `after` skips some."""
        async for event in self._runner.each(self._runner.api.stream(self.id, after)):
            self.data = event.data if "status" in event.data else self.data
            yield event

    async def cancel(self) -> Self:
        """Stop it; raises NotCancelable when it has ended already."""
        self.data = await self._runner.run(
            self._runner.api.change(self.id, "cancel", repeatable=True)
        )
        return self

    async def retry(self) -> AsyncJob:
        """Return a new job that tries the same again; raises NotRetryable."""
        steps = self._runner.api.change(self.id, "retry", repeatable=False)
        return AsyncJob(self._runner, await self._runner.run(steps))

    async def erase(self) -> None:
        """Stop it and remove everything that it left."""
        await self._runner.run(self._runner.api.delete(path("jobs", self.id)))

    async def deliveries(self) -> list[DeliveryData]:
        """Return the webhooks that were sent of it."""
        where = path("jobs", self.id, "deliveries")
        return await self._runner.run(self._runner.api.ask_list(where))


class AsyncSession:
    """A conversation: its questions share images and turns."""

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
        return answer_of(await self._runner.run(steps))

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
        return await self._runner.run(self._runner.api.ask_json("GET", path("sessions", self.id)))

    async def delete(self) -> None:
        """Forget it; its jobs stay."""
        await self._runner.run(self._runner.api.delete(path("sessions", self.id)))

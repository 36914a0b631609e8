"""The client without `await`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Self, Unpack

import httpx

from sightline import _http
from sightline._api import Api, OnUpdate, path
from sightline._images import ImageSource, ImageSources, as_list
from sightline._sse import Event
from sightline._steps import Policy
from sightline._sync import Runner
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

        `timeout` is the seconds that an answer may take beyond the time for which the service was
        asked to wait. What fails in passing is repeated `retries` times, after pauses that grow.
        """
        http = httpx.Client(**_http.options(url, api_key, timeout, headers), transport=transport)
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
        return answer_of(
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
        """Put a question into the queue; the same key and question give the same job."""
        steps = self._runner.api.submit(prompt, as_list(images), options, key=idempotency_key)
        data, replayed = self._runner.run(steps)
        return Job(self._runner, data, replayed=replayed)

    def estimate(
        self,
        prompt: str | None = None,
        images: ImageSources = (),
        **options: Unpack[SubmitOptions],
    ) -> EstimateData:
        """Return what a submission would cost and how long it would wait; nothing is done."""
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
    ) -> Iterator[Job]:
        """Yield jobs, newest first, page by page as they are taken."""
        params = {"status": status, "session_id": session_id}
        given = {name: value for name, value in params.items() if value is not None}
        for data in self._runner.each(self._runner.api.pages(path("jobs"), limit, given)):
            yield Job(self._runner, data)

    # images

    def upload(
        self, image: ImageSource, *, warm: bool = False, detail: Detail = "auto"
    ) -> ImageData:
        """Upload an image once; its `id` stands for it in questions. `warm` encodes it now."""
        return self._runner.run(self._runner.api.upload(image, warm=warm, detail=detail))

    def image(self, image_id: str) -> ImageData:
        """Return what is known of an uploaded image."""
        return self._runner.run(self._runner.api.ask_json("GET", path("images", image_id)))

    def delete_image(self, image_id: str) -> None:
        """Forget an uploaded image."""
        self._runner.run(self._runner.api.delete(path("images", image_id)))

    # conversations

    def session(self, session_id: str) -> Session:
        """Return a conversation under an id of your own; the first question makes it."""
        return Session(self._runner, session_id)

    def sessions(self, *, limit: int = 20) -> list[SessionSummary]:
        """Return conversations, the one used last first; `limit` up to 100."""
        return self._runner.run(self._runner.api.ask_list(path("sessions"), limit=str(limit)))

    # the service

    def presets(self) -> dict[str, Any]:
        """Return `data`, the presets, and `rules`, the rules for answers."""
        return self._runner.run(self._runner.api.ask_json("GET", path("presets")))

    def limits(self) -> dict[str, Any]:
        """Return every limit that applies to a request."""
        return self._runner.run(self._runner.api.ask_json("GET", path("limits")))

    def queue(self) -> dict[str, Any]:
        """Return how full the service is."""
        return self._runner.run(self._runner.api.ask_json("GET", path("queue")))

    def models(self) -> list[dict[str, Any]]:
        """Return the models that are loaded."""
        return self._runner.run(self._runner.api.ask_list(path("models")))

    # webhooks

    def webhook_secret(self, *, rotate: bool = False) -> SecretData:
        """Return the signing secret, shown once; `rotate` replaces it."""
        where = path("webhooks", "secret")
        if rotate:
            steps = self._runner.api.ask_json("POST", f"{where}/rotate", repeatable=False)
        else:
            steps = self._runner.api.ask_json("GET", where)
        return self._runner.run(steps)

    def test_webhook(self, url: str) -> DeliveryData:
        """Have a signed test message sent to a URL, once."""
        where = path("webhooks", "test")
        return self._runner.run(
            self._runner.api.ask_json("POST", where, json={"url": url}, repeatable=False)
        )

    def webhook_endpoints(self) -> list[dict[str, Any]]:
        """Return the hosts that webhooks go to, and how they fare."""
        return self._runner.run(self._runner.api.ask_list(path("webhooks", "endpoints")))

    def delivery(self, delivery_id: str) -> DeliveryData:
        """Return a delivery with all its attempts."""
        return self._runner.run(self._runner.api.ask_json("GET", path("deliveries", delivery_id)))

    def replay(self, delivery_id: str) -> DeliveryData:
        """Send a delivery again."""
        return self._runner.run(
            self._runner.api.ask_json("POST", path("deliveries", delivery_id, "replay"))
        )

    def replay_failed(self, since: dt.datetime | str) -> int:
        """Send again what has failed since a time, at most 1000; return how many."""
        return self._runner.run(self._runner.api.replay_failed(since))


class Job(JobView):
    """A job of a client."""

    def __init__(self, runner: Runner, data: JobData, *, replayed: bool = False) -> None:
        super().__init__(data, replayed=replayed)
        self._runner = runner

    def refresh(self) -> Self:
        """Look at it again."""
        self.data = self._runner.run(self._runner.api.read(self.id))
        return self

    def wait(self, timeout: float | None = None, on_update: OnUpdate | None = None) -> Self:
        """Wait for its end, whichever; raises WaitTimeout. `on_update` sees it on the way."""
        steps = self._runner.api.wait(self.data, timeout, on_update)
        self.data = self._runner.run(steps)
        return self

    def result(self, timeout: float | None = None) -> Answer:
        """Wait for its answer; raises JobFailed and WaitTimeout."""
        return answer_of(self.wait(timeout).data)

    def stream(self, after: int = 0) -> Iterator[Event]:
        """Yield its events until its end, across broken connections; `after` skips some."""
        for event in self._runner.each(self._runner.api.stream(self.id, after)):
            self.data = event.data if "status" in event.data else self.data
            yield event

    def cancel(self) -> Self:
        """Stop it; raises NotCancelable when it has ended already."""
        self.data = self._runner.run(self._runner.api.change(self.id, "cancel", repeatable=True))
        return self

    def retry(self) -> Job:
        """Return a new job that tries the same again; raises NotRetryable."""
        steps = self._runner.api.change(self.id, "retry", repeatable=False)
        return Job(self._runner, self._runner.run(steps))

    def erase(self) -> None:
        """Stop it and remove everything that it left."""
        self._runner.run(self._runner.api.delete(path("jobs", self.id)))

    def deliveries(self) -> list[DeliveryData]:
        """Return the webhooks that were sent of it."""
        where = path("jobs", self.id, "deliveries")
        return self._runner.run(self._runner.api.ask_list(where))


class Session:
    """A conversation: its questions share images and turns."""

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
        return answer_of(self._runner.run(steps))

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
        return self._runner.run(self._runner.api.ask_json("GET", path("sessions", self.id)))

    def delete(self) -> None:
        """Forget it; its jobs stay."""
        self._runner.run(self._runner.api.delete(path("sessions", self.id)))

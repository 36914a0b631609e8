"""One attempt of a webhook delivery: the request that is sent, and what its response means."""

from __future__ import annotations

import email.utils
import json
import logging
import random
import time
from collections.abc import Sequence
from typing import Any

from shared import webhooks
from shared.errors import Erased, NotFound, ServiceError, UrlFetchFailed, UrlNotAllowed
from shared.jobs import JobStatus, view
from shared.jobs.response_api import response_id, response_status
from shared.jobs.view import timestamp
from shared.outbound.client import FetchedResponse, FetchLimits, GuardedClient
from shared.settings import Settings
from shared.store import Store
from shared.store.webhooks.delivery_store import DeliveryStore
from shared.store.webhooks.delivery_types import Attempt, Delivery, EndpointHealth, Settlement

#: Bytes of a response that are read, and characters of it that the ledger keeps.
READ_BYTES = 20_000
KEPT_CHARS = 1000
#: Longest wait that a receiver may ask for with Retry-After.
RETRY_AFTER_MAX_S = 3600.0
#: Retries are spread by this share of their delay.
_JITTER = 0.2
_AGENT = "Sightline-Courier/1"

_log = logging.getLogger(__name__)


class DeliverySender:
    """Makes the attempts of deliveries; the courier's threads share it."""

    def __init__(
        self, store: Store, deliveries: DeliveryStore, client: GuardedClient, settings: Settings
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._client = client
        self._settings = settings
        self._limits = FetchLimits(
            settings.webhook_timeout_s,
            min(settings.webhook_connect_s, settings.webhook_timeout_s),
            READ_BYTES,
        )

    def attempt(self, delivery: Delivery, owner: str) -> Settlement | None:
        """Send a delivery and return what becomes of it.

        None when it is no longer this owner's, or was erased.

        Raises StoreUnavailable before anything was sent.
        """
        first = self._deliveries.read_body(delivery) or self._body(delivery)
        body = self._deliveries.freeze(delivery, owner, first)
        if body is None:
            return None
        keys = self._deliveries.secret(delivery.tenant, "sign").keys
        # a receiver refuses timestamps that are far from its own clock: all couriers use Redis'
        return self._send(delivery, body.encode(), keys, self._deliveries.now_ms() / 1000)

    def settle_crash(self, delivery: Delivery) -> Settlement:
        """Return what becomes of a delivery whose attempt failed by an error of our own."""
        error = "The courier failed; see its log."
        now_ms = self._deliveries.now_ms()
        at = str(timestamp(now_ms))
        attempt = Attempt(at=at, status=None, ms=0, body="", error=error)
        return self._settle_failure(delivery, attempt, health=EndpointHealth.UNKNOWN)

    def _body(self, delivery: Delivery) -> str:
        created = str(timestamp(delivery.created_ms))
        if delivery.job is None:
            return _message_of_no_job(delivery, created)
        try:
            row = self._store.get(delivery.job, delivery.tenant)
        except (NotFound, Erased):
            # the job expired before its message was sent: send what is still known
            if _is_of_response(delivery) and delivery.job_status:
                status = response_status(JobStatus(delivery.job_status), None)
                return _response_message(delivery, status)
            gone = {
                "id": delivery.job,
                "object": "job",
                "status": delivery.job_status,
                "urls": view.job_urls(delivery.job, self._settings.public_url),
            }
            return webhooks.build_message(delivery.type, created, webhooks.thin_job(gone))
        if _is_of_response(delivery) and row.status.terminal:
            finish_reason = (row.output or {}).get("finish_reason")
            return _response_message(delivery, response_status(row.status, finish_reason))
        job = view.job_view(row, base_url=self._settings.public_url)
        return webhooks.build_message(delivery.type, created, job)

    def _send(
        self, delivery: Delivery, body: bytes, keys: Sequence[str], sent_at: float
    ) -> Settlement:
        """Make the request; `sent_at` is the time of Redis' clock in seconds."""
        began = time.monotonic()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": self._settings.user_agent(_AGENT),
            **webhooks.sign_headers(keys, delivery.id, int(sent_at), body),
        }
        response: FetchedResponse | None = None
        failure: ServiceError | None = None
        try:
            response = self._client.fetch(
                "POST", delivery.url, self._limits, headers=headers, content=body
            )
        except (UrlNotAllowed, UrlFetchFailed) as error:
            failure = error
        attempt = Attempt(
            at=str(timestamp(int(1000 * sent_at))),
            status=response.status if response else None,
            ms=round(1000 * (time.monotonic() - began)),
            body=response.body.decode("utf-8", "replace")[:KEPT_CHARS] if response else "",
            error=failure.detail if failure else _complain(response),
        )
        if response is None:
            final = isinstance(failure, UrlNotAllowed)
            return self._settle_failure(delivery, attempt, final="url_not_allowed" if final else "")
        return self._settle_response(delivery, attempt, response, sent_at)

    def _settle_response(
        self, delivery: Delivery, attempt: Attempt, response: FetchedResponse, sent_at: float
    ) -> Settlement:
        if 200 <= response.status < 300:
            return Settlement("delivered", EndpointHealth.GOOD, attempt)
        if response.status == 410:
            return Settlement("failed", EndpointHealth.ALIVE, attempt, reason="url_gone")
        overloaded = response.status >= 500 or response.status == 429
        health = EndpointHealth.BAD if overloaded else EndpointHealth.ALIVE
        wait_s = retry_after_s(response.headers, sent_at)
        return self._settle_failure(delivery, attempt, health=health, wait_s=wait_s)

    def _settle_failure(
        self,
        delivery: Delivery,
        attempt: Attempt,
        *,
        final: str = "",
        health: EndpointHealth = EndpointHealth.BAD,
        wait_s: float = 0.0,
    ) -> Settlement:
        """Return the next attempt by the schedule, or the end; `final` is a reason to end now."""
        if final:
            return Settlement("failed", EndpointHealth.UNKNOWN, attempt, reason=final)
        schedule = self._settings.webhook_schedule_s
        tries = delivery.tries + 1
        # somebody waits for the result of a test; newer progress follows anyway
        once = delivery.type in ("webhook.test", "job.progress")
        if once or tries >= len(schedule):
            return Settlement("failed", health, attempt, reason="attempts_exhausted")
        delay = schedule[tries] * random.uniform(1 - _JITTER, 1 + _JITTER)
        return Settlement("retry", health, attempt, retry_s=max(delay, wait_s))


#: What a message is about that tells of no job, by the form of its delivery.
_OBJECTS = {"groups": "group", "budgets": "budget"}


def _is_of_response(delivery: Delivery) -> bool:
    """Tell whether it is told in OpenAI's form; there is none for what people should look at."""
    return bool(delivery.api) and delivery.type != "job.needs_review"


def _response_message(delivery: Delivery, status: str) -> str:
    return _openai_message(delivery, f"response.{status}", response_id(str(delivery.job)))


def _message_of_no_job(delivery: Delivery, created: str) -> str:
    if delivery.api == "batches":
        return _openai_message(delivery, delivery.type, delivery.about)
    about = {"id": delivery.id}
    if kind := _OBJECTS.get(delivery.api):
        about = {"object": kind, **json.loads(delivery.about)}
    return webhooks.build_message(delivery.type, created, about)


def _openai_message(delivery: Delivery, kind: str, about: str) -> str:
    """Return the message that OpenAI's clients unwrap: it names what has ended, and how."""
    event = {
        "id": "evt_" + delivery.id.removeprefix("dlv_"),
        "object": "event",
        "created_at": delivery.created_ms // 1000,
        "type": kind,
        "data": {"id": about},
    }
    return json.dumps(event, separators=(",", ":"))


def _complain(response: FetchedResponse | None) -> str | None:
    if response is None or 200 <= response.status < 300:
        return None
    if 300 <= response.status < 400:
        return f"HTTP status {response.status}; redirects are not followed."
    return f"HTTP status {response.status}."


def retry_after_s(headers: Any, now: float | None = None) -> float:
    """Return the seconds of a Retry-After header, 0 to `RETRY_AFTER_MAX_S`; 0 without one."""
    text = str(headers.get("retry-after", "")).strip()
    try:
        seconds = float(text) if text.isdigit() else _seconds_until(text, now or time.time())
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)


def _seconds_until(text: str, now: float) -> float:
    return email.utils.parsedate_to_datetime(text).timestamp() - now

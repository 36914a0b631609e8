"""One attempt of one webhook delivery: what is sent, and what its answer means."""

from __future__ import annotations

import datetime as dt
import email.utils
import logging
import random
import time
from collections.abc import Sequence
from typing import Any

from shared import webhooks
from shared.errors import Erased, NotFound, ServiceError, UrlFetchFailed, UrlNotAllowed
from shared.jobs import view
from shared.jobs.view import timestamp
from shared.outbound.client import FetchedResponse, FetchLimits, GuardedClient
from shared.settings import Settings
from shared.store import Store
from shared.store.delivery_store import DeliveryStore
from shared.store.delivery_types import Attempt, Delivery, EndpointHealth, Settlement

#: Bytes of an answer that are read, and characters that the ledger keeps.
READ_BYTES = 20_000
KEPT_CHARS = 1000
#: The longest wait that a receiver may ask for.
RETRY_AFTER_MAX_S = 3600.0
_JITTER = 0.2
_AGENT = "Sightline-Courier/1"

_log = logging.getLogger(__name__)


class DeliverySender:
    """Makes attempts; its threads share it."""

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
        """Send a delivery; None when it is no longer this owner's, or was erased.

        Raises StoreUnavailable before anything was sent.
        """
        told = self._deliveries.read_body(delivery) or self._body(delivery)
        body = self._deliveries.freeze(delivery, owner, told)
        if body is None:
            return None
        keys = self._deliveries.secret(delivery.tenant, "sign").keys
        return self._send(delivery, body.encode(), keys)

    def crashed(self, delivery: Delivery) -> Settlement:
        """Return what becomes of a delivery that met a fault of our own."""
        now = dt.datetime.now(tz=dt.UTC).isoformat(timespec="milliseconds")
        told = Attempt(at=now, status=None, ms=0, body="", error="The courier failed; see its log.")
        return self._failed(delivery, told, health=EndpointHealth.UNKNOWN)

    def _body(self, delivery: Delivery) -> str:
        happened = str(timestamp(delivery.created_ms))
        if delivery.job is None:
            return webhooks.message(delivery.type, happened, {"id": delivery.id})
        try:
            row = self._store.get(delivery.job, delivery.tenant)
        except (NotFound, Erased):
            # the job lived shorter than its message waited: tell what is still known
            gone = {
                "id": delivery.job,
                "object": "job",
                "status": delivery.job_status,
                "urls": view.job_urls(delivery.job, self._settings.public_url),
            }
            return webhooks.message(delivery.type, happened, webhooks.thin(gone))
        job = view.job_view(row, base_url=self._settings.public_url)
        return webhooks.message(delivery.type, happened, job)

    def _send(self, delivery: Delivery, body: bytes, keys: Sequence[str]) -> Settlement:
        began, moment = time.monotonic(), time.time()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": _AGENT,
            **webhooks.signed_headers(keys, delivery.id, int(moment), body),
        }
        answer: FetchedResponse | None = None
        failure: ServiceError | None = None
        try:
            answer = self._client.fetch(
                "POST", delivery.url, self._limits, headers=headers, content=body
            )
        except (UrlNotAllowed, UrlFetchFailed) as error:
            failure = error
        told = Attempt(
            at=dt.datetime.fromtimestamp(moment, tz=dt.UTC).isoformat(timespec="milliseconds"),
            status=answer.status if answer else None,
            ms=round(1000 * (time.monotonic() - began)),
            body=answer.body.decode("utf-8", "replace")[:KEPT_CHARS] if answer else "",
            error=failure.detail if failure else _complaint(answer),
        )
        if answer is None:
            final = isinstance(failure, UrlNotAllowed)
            return self._failed(delivery, told, final="url_not_allowed" if final else "")
        return self._answered(delivery, told, answer)

    def _answered(self, delivery: Delivery, told: Attempt, answer: FetchedResponse) -> Settlement:
        if 200 <= answer.status < 300:
            return Settlement("delivered", EndpointHealth.GOOD, told)
        if answer.status == 410:
            return Settlement("failed", EndpointHealth.ALIVE, told, reason="url_gone")
        troubled = answer.status >= 500 or answer.status == 429
        health = EndpointHealth.BAD if troubled else EndpointHealth.ALIVE
        return self._failed(delivery, told, health=health, wait_s=retry_after_s(answer.headers))

    def _failed(
        self,
        delivery: Delivery,
        told: Attempt,
        *,
        final: str = "",
        health: EndpointHealth = EndpointHealth.BAD,
        wait_s: float = 0.0,
    ) -> Settlement:
        if final:
            return Settlement("failed", EndpointHealth.UNKNOWN, told, reason=final)
        schedule = self._settings.webhook_schedule_s
        after = delivery.tries + 1
        # a test is asked for by somebody who looks on; newer progress follows by itself
        once = delivery.type in ("webhook.test", "job.progress")
        if once or after >= len(schedule):
            return Settlement("failed", health, told, reason="attempts_exhausted")
        delay = schedule[after] * random.uniform(1 - _JITTER, 1 + _JITTER)
        return Settlement("retry", health, told, retry_s=max(delay, wait_s))


def _complaint(answer: FetchedResponse | None) -> str | None:
    if answer is None or 200 <= answer.status < 300:
        return None
    if 300 <= answer.status < 400:
        return f"Answered {answer.status}; redirects are not followed."
    return f"Answered {answer.status}."


def retry_after_s(headers: Any, now: float | None = None) -> float:
    """Return the seconds that a receiver asks to be left alone, within bounds."""
    text = str(headers.get("retry-after", "")).strip()
    try:
        asked = float(text) if text.isdigit() else _until(text, now or time.time())
    except ValueError:
        return 0.0
    return min(max(asked, 0.0), RETRY_AFTER_MAX_S)


def _until(text: str, now: float) -> float:
    return email.utils.parsedate_to_datetime(text).timestamp() - now

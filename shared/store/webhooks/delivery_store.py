"""The delivery store: schedule, ledger, endpoints and secrets of webhooks in Redis."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any, Literal

from shared import webhooks
from shared.errors import NotFound
from shared.settings import Settings
from shared.store import keys
from shared.store.connection import Client, load_script, pairs
from shared.store.failures import confirm, guard
from shared.store.webhooks.delivery_types import (
    Attempt,
    Delivery,
    DeliveryBatch,
    Endpoint,
    Outbox,
    Secret,
    Settlement,
)
from shared.webhooks import Webhook

_SCRIPTS = (
    "webhooks/take",
    "webhooks/freeze",
    "webhooks/settle",
    "webhooks/replay",
    "webhooks/send_test",
    "webhooks/secret",
)
_REPLAYED_AT_ONCE = 1000
_LISTED_ENDPOINTS = 200


class DeliveryStore:
    """Reads and changes deliveries; every method raises StoreUnavailable without Redis."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._settings = settings
        self._redis = client
        self._scripts = {name: load_script(client, name) for name in _SCRIPTS}
        self._keep_ms = settings.delivery_ttl_s * 1000

    def _run(self, name: str, *args: Any, names: Sequence[str] = ()) -> Any:
        with guard():
            return self._scripts[name](keys=list(names), args=list(args))

    def _confirm(self, name: str, *args: Any, names: Sequence[str] = (), **known: Any) -> Any:
        """Run a script that a caller waits for, until it is sure what became of it."""
        script = self._scripts[name]
        return confirm(lambda: script(keys=list(names), args=list(args)), **known)

    # the courier's side

    def take(self, most: int) -> DeliveryBatch:
        """Take up to `most` due deliveries, each under a lease longer than an attempt."""
        owner = secrets.token_hex(16)
        lease_ms = int(1000 * (self._settings.webhook_timeout_s + self._settings.webhook_grace_s))
        cap = self._settings.webhook_endpoint_concurrency
        now, first, rows = self._run("webhooks/take", owner, lease_ms, most, cap, self._keep_ms)
        return DeliveryBatch(
            owner,
            [Delivery.model_validate(pairs(row)) for row in rows],
            max(0.0, (float(first) - int(now)) / 1000) if first else None,
        )

    def wait(self, seconds: float) -> None:
        """Wait until a delivery may be due, at most for `seconds`."""
        with guard():
            # a blocking read must come back before the socket's own timeout
            self._redis.blpop([keys.DELIVERIES_BELL], min(seconds, 1.0))

    def read_body(self, delivery: Delivery) -> str | None:
        """Return the body that the first attempt decided on; None before it."""
        with guard():
            body: str | None = self._redis.hget(keys.DELIVERY + delivery.id, "body")
        return body

    def freeze(self, delivery: Delivery, owner: str, body: str) -> str | None:
        """Return the body to send: this one, or an earlier attempt's; None if it is lost."""
        frozen: str | None = self._run("webhooks/freeze", delivery.id, owner, body)
        return frozen

    def settle(self, delivery: Delivery, owner: str, settlement: Settlement) -> bool:
        """Note an attempt, if the delivery is still this owner's; return whether it was."""
        return bool(
            self._run(
                "webhooks/settle",
                *(delivery.id, owner, settlement.outcome, settlement.reason),
                settlement.attempt.model_dump_json(),
                *(int(settlement.retry_s * 1000), settlement.health.value),
                self._settings.webhook_breaker_failures,
                int(self._settings.webhook_breaker_s * 1000),
                int(self._settings.webhook_disable_s * 1000),
                self._keep_ms,
            )
        )

    # the ledger

    def get(self, delivery_id: str, tenant: str) -> tuple[Delivery, list[Attempt]]:
        """Return a delivery and its attempts, oldest first; raises NotFound."""
        with guard():
            # a foreign delivery is not read, so that it takes no longer than an unknown one
            if self._redis.hget(keys.DELIVERY + delivery_id, "tenant") != tenant:
                raise NotFound
        deliveries = self._read([delivery_id])
        if not deliveries:
            raise NotFound
        return deliveries[0]

    def of_job(self, job_id: str) -> list[tuple[Delivery, list[Attempt]]]:
        """Return the deliveries of a job and their attempts, oldest first."""
        with guard():
            ids = self._redis.lrange(keys.job(job_id) + keys.JOB_DELIVERIES, 0, -1)
        return self._read(ids)

    def _read(self, ids: Sequence[str]) -> list[tuple[Delivery, list[Attempt]]]:
        with guard():
            pipe = self._redis.pipeline(transaction=False)
            for delivery_id in ids:
                pipe.hgetall(keys.DELIVERY + delivery_id)
                pipe.lrange(keys.DELIVERY + delivery_id + keys.DELIVERY_ATTEMPTS, 0, -1)
            flat = pipe.execute()
        return [
            (Delivery.model_validate(row), [Attempt(**json.loads(text)) for text in attempts])
            for row, attempts in zip(flat[::2], flat[1::2], strict=True)
            if row
        ]

    def replay(self, delivery_id: str, tenant: str) -> None:
        """Send a delivery again now, under a new schedule; raises NotFound and OutcomeUnknown."""
        if not self._confirm("webhooks/replay", delivery_id, tenant, delivery_id=delivery_id):
            raise NotFound

    def replay_failed(self, tenant: str, since_ms: int) -> int:
        """Replay what has failed since then, up to 1000 at a time; return how many."""
        with guard():
            ids = self._redis.zrangebyscore(
                keys.FAILED_DELIVERIES + tenant, since_ms, "+inf", start=0, num=_REPLAYED_AT_ONCE
            )
        return sum(self._confirm("webhooks/replay", delivery_id, tenant) for delivery_id in ids)

    def try_out(self, webhook: Webhook, tenant: str) -> str:
        """Send a test message once, even if its endpoint's breaker is open or it is disabled.

        Returns its delivery id; raises OutcomeUnknown where Redis does not confirm it.
        """
        delivery_id = webhooks.new_delivery_id()
        primary = webhook.endpoint_id(tenant)
        self._confirm(
            "webhooks/send_test",
            *(delivery_id, tenant, f"{primary}-test", webhook.origin, webhook.url),
            *(webhook.url_id(tenant), primary),
            delivery_id=delivery_id,
        )
        return delivery_id

    def endpoints(self, tenant: str) -> list[Endpoint]:
        """Return the endpoints that a tenant has used, the last one first."""
        with guard():
            ids = self._redis.zrevrange(keys.TENANT_ENDPOINTS + tenant, 0, _LISTED_ENDPOINTS - 1)
            pipe = self._redis.pipeline(transaction=False)
            for endpoint in ids:
                pipe.hgetall(keys.ENDPOINT + endpoint)
                pipe.zcard(keys.ENDPOINT + endpoint + keys.ENDPOINT_DUE)
                pipe.zcard(keys.ENDPOINT + endpoint + keys.ENDPOINT_HELD)
            flat = pipe.execute()
        return [
            Endpoint.model_validate(row | {"pending": due + held})
            for row, due, held in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
            if row
        ]

    def outbox(self) -> Outbox:
        """Return the state of the deliveries of all tenants."""
        now = self.now_ms()
        with guard():
            pipe = self._redis.pipeline(transaction=False)
            pipe.zrange(keys.DELIVERIES, 0, 0, withscores=True)
            pipe.zcount(keys.ENDPOINTS_OPEN, now, "+inf")
            pipe.zcount(keys.ENDPOINTS_DISABLED, now, "+inf")
            first, opened, disabled = pipe.execute()
        return Outbox(max(0.0, (now - first[0][1]) / 1000) if first else 0.0, opened, disabled)

    def now_ms(self) -> int:
        """Return the time of Redis' clock."""
        with guard():
            seconds, micros = self._redis.time()
        return int(seconds * 1000 + micros // 1000)

    # secrets

    def secret(self, tenant: str, mode: Literal["sign", "show", "rotate"]) -> Secret:
        """Return a tenant's secret, made on first use; `rotate` replaces it by a new one.

        Raises OutcomeUnknown where Redis does not confirm it: rotate once more.
        """
        rotation_ms = self._settings.webhook_rotation_s * 1000
        names = [keys.WEBHOOK_SECRET + tenant]
        secret, previous, until, created, fresh = self._confirm(
            "webhooks/secret", webhooks.new_secret(), mode, rotation_ms, names=names
        )
        return Secret(
            secret, previous or None, int(until) if until else None, int(created), bool(fresh)
        )

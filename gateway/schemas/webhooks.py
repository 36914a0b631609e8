"""The shapes of webhook requests and answers as the OpenAPI document shows them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.schemas.jobs import MAX_URL_CHARS, Parameters, known_form

_DELIVERY_ID = re.compile(r"dlv_[0-9A-Z]{36,40}(_[0-9]{1,9})?")


class DeliveryPath(Parameters):
    """Names a delivery."""

    delivery_id: Annotated[str, known_form(_DELIVERY_ID)] = Field(
        description="`dlv_…`, the webhook-id of its message."
    )


class AttemptState(BaseModel):
    """One attempt of a delivery."""

    at: str
    status: int | None = Field(description="HTTP status; null without an answer.")
    ms: int
    body: str = Field(description="The first of what was answered.")
    error: str | None


class DeliveryState(BaseModel):
    """A delivery and its ledger."""

    id: str = Field(description="The webhook-id of its message, the same in every attempt.")
    object: Literal["delivery"]
    job_id: str | None
    type: str = Field(description="The type of its message, such as `job.succeeded`.")
    url: str
    status: Literal["pending", "delivered", "failed"]
    reason: str | None = Field(
        description="Why it failed: attempts_exhausted, url_gone (answered 410), url_not_allowed, "
        "endpoint_disabled."
    )
    created_at: str
    next_attempt_at: str | None
    ended_at: str | None
    attempts: list[AttemptState]


class DeliveryList(BaseModel):
    """Deliveries, the first one first."""

    object: Literal["list"]
    data: list[DeliveryState]


class EndpointState(BaseModel):
    """The health of a host that webhooks are sent to."""

    origin: str
    state: Literal["ok", "failing", "open", "disabled"] = Field(
        description="open: left alone until `open_until`, then probed. disabled: too long nothing "
        "but failures; a successful test enables it again."
    )
    consecutive_failures: int
    failing_since: str | None
    open_until: str | None
    pending: int = Field(description="Deliveries that wait.")


class EndpointList(BaseModel):
    """Endpoints, the one used last first."""

    object: Literal["list"]
    data: list[EndpointState]


class SecretState(BaseModel):
    """What webhooks are signed with."""

    object: Literal["webhook_secret"]
    secret: str | None = Field(description="`whsec_…`; shown once, later null.")
    hint: str = Field(description="Its last characters.")
    created_at: str
    previous_hint: str | None = Field(description="The replaced secret that still signs too.")
    previous_until: str | None


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WebhookTest(_Body):
    """Where to send a test message."""

    url: str = Field(max_length=MAX_URL_CHARS, description="An http(s) URL.")


class ReplaySince(_Body):
    """From when on failed deliveries are sent again."""

    since: AwareDatetime = Field(description="RFC 3339 with an offset.")

    @property
    def since_ms(self) -> int:
        """Return it in milliseconds since 1970."""
        return max(0, int(self.since.astimezone(dt.UTC).timestamp() * 1000))


class Replayed(BaseModel):
    """How many deliveries are sent again."""

    object: Literal["replay"]
    replayed: int = Field(description="At most 1000 at a time; ask again until it is 0.")

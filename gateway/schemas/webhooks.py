"""The shapes of webhook requests and answers as the OpenAPI document shows them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.schemas.parameters import MAX_URL_CHARS, Parameters, known_form

_DELIVERY_ID = re.compile(r"dlv_[0-9A-Z]{36,40}(_[0-9]{1,15})?")


class DeliveryPath(Parameters):
    """Names a delivery."""

    delivery_id: Annotated[str, known_form(_DELIVERY_ID)] = Field(
        description="`dlv_…`, the webhook-id of its message."
    )


class AttemptState(BaseModel):
    """One attempt of a delivery."""

    at: str
    status: int | None = Field(description="HTTP status; null without a response.")
    ms: int
    body: str = Field(description="The beginning of the response body.")
    error: str | None


class DeliveryState(BaseModel):
    """A delivery and all its attempts."""

    id: str = Field(description="The webhook-id of its message, the same in every attempt.")
    object: Literal["delivery"]
    job_id: str | None
    type: str = Field(description="The type of its message, such as `job.succeeded`.")
    url: str
    status: Literal["pending", "delivered", "failed"]
    reason: str | None = Field(
        description="Why it failed: attempts_exhausted, url_gone (410 received), url_not_allowed, "
        "endpoint_disabled."
    )
    created_at: str
    next_attempt_at: str | None
    ended_at: str | None
    attempts: list[AttemptState]


class DeliveryList(BaseModel):
    """Deliveries, oldest first."""

    object: Literal["list"]
    data: list[DeliveryState]


class EndpointState(BaseModel):
    """The health of a host that webhooks are sent to."""

    origin: str
    state: Literal["ok", "failing", "open", "disabled"] = Field(
        description="open: not contacted until `open_until`, then tried once. disabled: "
        "nothing but failures for too long; a successful test enables it again."
    )
    consecutive_failures: int
    failing_since: str | None
    open_until: str | None
    pending: int = Field(description="Number of waiting deliveries.")


class EndpointList(BaseModel):
    """Endpoints, most recently used first."""

    object: Literal["list"]
    data: list[EndpointState]


class SecretState(BaseModel):
    """The secret that signs webhooks."""

    object: Literal["webhook_secret"]
    secret: str | None = Field(description="`whsec_…`; shown once, null afterwards.")
    hint: str = Field(description="Its last characters.")
    created_at: str
    previous_hint: str | None = Field(
        description="Hint of the replaced secret, which still signs as well."
    )
    previous_until: str | None


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WebhookTest(_Body):
    """Where to send a test message."""

    url: str = Field(max_length=MAX_URL_CHARS, description="An http(s) URL.")


class ReplaySince(_Body):
    """The time since which failed deliveries are resent."""

    since: AwareDatetime = Field(description="RFC 3339 with a time zone offset.")

    @property
    def since_ms(self) -> int:
        """Return it in milliseconds since 1970."""
        return max(0, int(self.since.astimezone(dt.UTC).timestamp() * 1000))


class Replayed(BaseModel):
    """The number of deliveries being resent."""

    object: Literal["replay"]
    replayed: int = Field(description="At most 1000 at a time; repeat until it is 0.")

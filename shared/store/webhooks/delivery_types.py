"""Webhook deliveries as values: a delivery, its attempts, its endpoint, what settles it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

_BLANK = BeforeValidator(lambda value: None if value == "" else value)


class EndpointHealth(StrEnum):
    """What an attempt showed about its endpoint."""

    GOOD = "good"
    #: No answer, or that of a server in trouble.
    BAD = "bad"
    #: A quick answer that is no success.
    ALIVE = "alive"
    #: No request was made.
    UNKNOWN = "unknown"


class Delivery(BaseModel):
    """One delivery; times are milliseconds of Redis' clock."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    #: Also the `webhook-id`, the same in every attempt.
    id: str
    tenant: str
    endpoint: str
    type: str
    url: str
    status: Literal["pending", "delivered", "failed"]
    #: Why it failed.
    reason: Annotated[str | None, _BLANK] = None
    created_ms: int
    due_ms: Annotated[int | None, _BLANK] = None
    ended_ms: Annotated[int | None, _BLANK] = None
    #: Attempts of the present schedule.
    tries: int = 0
    #: Token of the courier that has it now, "" for none.
    owner: str = ""
    job: str | None = None
    job_status: str | None = None
    #: Whose form the message has: "responses" and "batches" for OpenAI's, "groups" for one about a
    #: group of ours, "" for one about a job.
    api: str = ""
    #: What a message of no job is about: an id, or of a group its id and counts as JSON.
    about: str = ""


class Attempt(BaseModel):
    """One attempt of a delivery, as its ledger keeps it."""

    model_config = ConfigDict(frozen=True)

    at: str
    #: HTTP status, None without an answer.
    status: int | None
    ms: int
    #: The beginning of the answer's body.
    body: str
    error: str | None


class Endpoint(BaseModel):
    """The health of one origin of one tenant."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    origin: str
    #: Consecutive failures of those that count for the breaker.
    failures: int = 0
    failing_since: int | None = None
    open_until: int | None = None
    disabled_ms: int | None = None
    #: Deliveries that wait or are under way.
    pending: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryBatch:
    """The deliveries that a courier has taken, and in how many seconds more are due."""

    owner: str
    deliveries: list[Delivery]
    next_s: float | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of a delivery after an attempt."""

    outcome: Literal["delivered", "retry", "failed"]
    health: EndpointHealth
    attempt: Attempt
    reason: str = ""
    retry_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outbox:
    """The state of all deliveries together."""

    #: Seconds that the most urgent one is overdue: it grows only while no courier runs.
    lag_s: float
    #: Endpoints whose breaker is open, and those disabled until a delivery sent by hand succeeds.
    open: int
    disabled: int


@dataclass(frozen=True, slots=True)
class Secret:
    """The secret that a tenant's webhooks are signed with."""

    secret: str
    previous: str | None
    previous_until_ms: int | None
    created_ms: int
    #: It has not been shown before.
    fresh: bool

    @property
    def keys(self) -> list[str]:
        """Return every secret that signs now, the newest first."""
        return [self.secret, *([self.previous] if self.previous else [])]

"""When a job runs, how long it is kept and who hears of its end."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    field_validator,
)
from pydantic import model_validator as check

from gateway.schemas.parameters import MAX_URL_CHARS
from gateway.submission.fields.values import as_list
from shared.excerpt import is_longer
from shared.jobs import Priority
from shared.jobs.parameters.schedule import DailyWindow
from shared.jobs.row import dump
from shared.webhooks import WebhookEvent

MAX_DEADLINE_S = 30 * 86_400
MAX_METADATA_BYTES = 4096


class HandlingFields(BaseModel):
    """The handling of a submission beside its answer."""

    priority: Priority = Field(Priority.DEFAULT, description="Orders the jobs of your own key.")
    ttl_s: int | None = Field(None, ge=60, description="How long the result is kept.")
    deadline_s: float | None = Field(
        None,
        gt=0,
        le=MAX_DEADLINE_S,
        allow_inf_nan=False,
        description="The job expires if it has not finished this many seconds from now.",
    )
    not_before: AwareDatetime | None = Field(
        None, description="The job does not start earlier; RFC 3339, with a zone."
    )
    window: str | None = Field(
        None,
        max_length=64,
        description="Hours of each day within which the job may start, such as "
        "`22:00-06:00+08:00`, or `22:00-06:00 Europe/Berlin` by the clock of a place with its "
        "summer time; in UTC without a zone.",
    )
    webhook: str | None = Field(
        None,
        max_length=MAX_URL_CHARS,
        description="The http(s) URL to notify, with messages signed as Standard Webhooks.",
    )
    webhook_events: Annotated[list[WebhookEvent], BeforeValidator(as_list)] = Field(
        default_factory=lambda: [WebhookEvent.COMPLETED],
        min_length=1,
        validation_alias=AliasChoices("webhook_events", "webhook_events_filter"),
        description="Events to notify about; `completed` covers every outcome. Default: that, and "
        "`needs_review` with `review`.",
    )
    metadata: dict[str, Any] = Field(default_factory=dict, description="Returned unchanged.")

    @field_validator("window")
    @classmethod
    def _window_is_of_a_day(cls, value: str | None) -> str | None:
        if value is not None:
            DailyWindow.parse(value)
        return value

    @check(mode="after")
    def _metadata_is_small(self) -> Self:
        most = MAX_METADATA_BYTES
        if is_longer(self.metadata, most) or len(dump(self.metadata).encode()) > most:
            raise ValueError(f"metadata must be smaller than {MAX_METADATA_BYTES} bytes of JSON")
        return self

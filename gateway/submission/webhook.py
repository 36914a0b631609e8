"""Where a job's events are sent, from the request that names a URL or from a stored job."""

from __future__ import annotations

from gateway.services import Services
from gateway.submission.fields.submission import Submission
from shared.errors import UrlNotAllowed
from shared.jobs.row import JobRow
from shared.outbound.client import parse_target
from shared.webhooks import Webhook, WebhookEvent


def check_webhook(
    url: str,
    pointer: str,
    services: Services,
    events: tuple[WebhookEvent, ...] = (WebhookEvent.COMPLETED,),
) -> Webhook:
    """Return where to send events; raises UrlNotAllowed naming `pointer`."""
    try:
        origin = parse_target(url, services.outbound.policy).origin
    except UrlNotAllowed as error:
        raise UrlNotAllowed(
            error.detail,
            pointer=pointer,
            hint="Only public http(s) addresses can be notified; the operator can allow others.",
        ) from None
    return Webhook(url, origin, events)


def webhook_of_submission(submission: Submission, services: Services) -> Webhook | None:
    """Return where a request wants the events of its job, if anywhere; raises UrlNotAllowed."""
    if submission.webhook is None:
        return None
    events = tuple(dict.fromkeys(submission.webhook_events))
    if submission.review and "webhook_events" not in submission.model_fields_set:
        events = (*events, WebhookEvent.NEEDS_REVIEW)
    return check_webhook(submission.webhook, "/webhook", services, events)


def webhook_of_row(row: JobRow) -> Webhook | None:
    """Return where the events of a stored job are sent, if anywhere."""
    if row.webhook is None:
        return None
    events = tuple(WebhookEvent(name) for name in row.webhook_events.strip(",").split(","))
    return Webhook(row.webhook, row.webhook_origin, events)

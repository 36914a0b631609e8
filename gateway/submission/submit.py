"""From a submitted question to a stored and enqueued job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Request, g

from gateway import auth
from gateway.admission.admission import JobProfile
from gateway.images.sizing import AnyImage, check_fit, image_info, notices
from gateway.images.url_fetch import is_url
from gateway.services import Services
from gateway.submission.affinity import nearest
from gateway.submission.chat_request import Chat, ChatTurn
from gateway.submission.constraints import check_constraint
from gateway.submission.idempotency import Idempotency
from gateway.submission.images import RequestImages
from gateway.submission.job_profile import profile_request, profile_row
from gateway.submission.request import ReceivedRequest, S, Submission, receive
from gateway.submission.resolve import ResolvedRequest, resolve
from gateway.submission.tiling import keeps_detail, tiling_of
from shared.errors import UrlNotAllowed
from shared.jobs import ConversationMessage, JobInput, Priority
from shared.jobs.row import JobRow
from shared.outbound.client import target
from shared.prediction.heartbeat import Heartbeat
from shared.store import Doorbell, DoorbellMessage, NewJob, StoredJob
from shared.store.image_store import StoredImage
from shared.webhooks import Webhook, WebhookEvent


def submit_request(
    request: Request, services: Services, tenant: str, idempotency_key: str | None
) -> StoredJob:
    """Check, store and enqueue what a request asks for; raises a ServiceError of any kind."""
    repeat = Idempotency(services, tenant, idempotency_key)
    repeat.unless_known(lambda: services.admission.check_open(tenant, auth.standing()))
    received = receive(request, services.settings, Submission)
    asked = resolve(received.submission, services.presets, services.rules)
    check_constraint(asked.params)
    asking = profile_request(received.submission, asked, tenant, auth.standing())
    repeat.unless_known(lambda: services.admission.check_queue(asking))
    detailed = keeps_detail(received.submission, asked)
    claims = received.submission.claims(len(received.files))
    looking = RequestImages.begin(services, tenant, detailed=detailed, claims=claims)
    images = all_images(received, looking)
    job = _new_job(received.submission, asked, images, repeat, asking)
    _keep(images, services, tenant)
    return add(job, services)


def _keep(images: Iterable[AnyImage], services: Services, tenant: str) -> None:
    for image in images:
        if isinstance(image, StoredImage):
            services.images.put(tenant, image)


def submit_chat(
    chat: Chat, services: Services, tenant: str, idempotency_key: str | None
) -> StoredJob:
    """Check, store and enqueue the last message of a chat; raises a ServiceError of any kind."""
    asked = resolve(chat.submission, services.presets, services.rules)
    check_constraint(asked.params)
    asking = profile_request(chat.submission, asked, tenant, auth.standing())
    repeat = Idempotency(services, tenant, idempotency_key)
    repeat.unless_known(lambda: services.admission.check_queue(asking))
    detailed = keeps_detail(chat.submission, asked)
    looking = RequestImages.begin(services, tenant, detailed=detailed)
    earlier = _EarlierMessages(
        chat.thread, [(said, _named_in(said, looking)) for said in chat.before]
    )
    images = _named_in(chat.last, looking)
    job = _new_job(chat.submission, asked, images, repeat, asking, earlier)
    _keep([*earlier.images, *images], services, tenant)
    return add(job, services)


def _named_in(said: ChatTurn, looking: RequestImages) -> list[AnyImage]:
    return [looking.named(image.text, image.pointer) for image in said.images]


def resubmit_job(row: JobRow, services: Services) -> StoredJob:
    """Store and enqueue a new job that asks what `row` asked; raises QueueFull."""
    return add(
        NewJob(
            tenant=row.tenant,
            input=row.input,
            priority=Priority(row.queue),
            ttl_s=row.ttl_ms // 1000,
            deadline_s=_deadline_s(row),
            session_id=row.session_id,
            metadata=row.metadata or {},
            images=row.images,
            notices=row.notices,
            model=row.model,
            retry_of=row.id,
            prediction=services.admission.admit(profile_row(row, _deadline_s(row)), row.images),
            webhook=_webhook_of(row),
            trace=trace(),
        ),
        services,
    )


def _webhook_of(row: JobRow) -> Webhook | None:
    if row.webhook is None:
        return None
    events = tuple(WebhookEvent(name) for name in row.webhook_events.strip(",").split(","))
    return Webhook(row.webhook, row.webhook_origin, events)


def _webhook(submission: Submission, services: Services) -> Webhook | None:
    if submission.webhook is None:
        return None
    events = tuple(dict.fromkeys(submission.webhook_events))
    return checked_webhook(submission.webhook, "/webhook", services, events)


def checked_webhook(
    url: str,
    pointer: str,
    services: Services,
    events: tuple[WebhookEvent, ...] = (WebhookEvent.COMPLETED,),
) -> Webhook:
    """Return where to send events; raises UrlNotAllowed naming `pointer`."""
    try:
        origin = target(url, services.outward.policy).origin
    except UrlNotAllowed as error:
        raise UrlNotAllowed(
            error.detail,
            pointer=pointer,
            hint="Only public http(s) addresses are told; the operator may allow others.",
        ) from None
    return Webhook(url, origin, events)


def _deadline_s(row: JobRow) -> float | None:
    """Return the seconds that a job was given; without a deadline it had its time to live."""
    given_ms = row.expire_ms - row.created_ms
    return None if given_ms == row.ttl_ms else given_ms / 1000


def all_images(received: ReceivedRequest[S], looking: RequestImages) -> list[AnyImage]:
    """Return the images of a request in their order, files first."""
    images: list[AnyImage] = []
    for file in received.files:
        images.append(looking.sent(file, f"/images/{len(images)}"))
    for text in received.submission.images:
        images.append(looking.named(text, f"/images/{len(images)}"))
    return images


@dataclass(frozen=True, slots=True)
class _EarlierMessages:
    """What was said before a chat's last message, with the images found in it."""

    thread: str = ""
    messages: Sequence[tuple[ChatTurn, Sequence[AnyImage]]] = ()

    @property
    def images(self) -> list[AnyImage]:
        return [image for _, images in self.messages for image in images]

    def infos(self, workers: Sequence[Heartbeat]) -> list[dict[str, Any]]:
        return [
            image_info(image, heard.max_pixels, workers)
            for heard, images in self.messages
            for image in images
        ]

    def said(self) -> tuple[ConversationMessage, ...]:
        return tuple(
            ConversationMessage(
                role=heard.role,
                text=heard.text,
                images=tuple(image.id for image in images),
                max_pixels=heard.max_pixels,
            )
            for heard, images in self.messages
        )


def _new_job(
    submission: Submission,
    asked: ResolvedRequest,
    images: Sequence[AnyImage],
    repeat: Idempotency,
    asking: JobProfile,
    earlier: _EarlierMessages = _EarlierMessages(),
) -> NewJob:
    services = repeat.services
    forecast = services.admission.forecast()
    workers = forecast.outlook.workers
    tiling = tiling_of(submission, asked, images, workers)
    pixels = tiling.budget if tiling else submission.pixel_budget()
    infos = earlier.infos(workers)
    infos += [image_info(image, pixels, workers, tiling) for image in images]
    # tiles that don't fit together are looked at one by one
    check_fit(infos if tiling is None else earlier.infos(workers), workers)
    said = earlier.said()
    ids = [image.id for image in images]
    predicted = services.admission.predict(forecast, asking, infos)
    repeat.unless_known(lambda: services.admission.check(asking, predicted))
    return NewJob(
        tenant=asking.tenant,
        input=JobInput(
            prompt=asked.prompt,
            before=said,
            thread=earlier.thread,
            images=tuple(ids),
            params=asked.params,
            max_pixels=pixels,
            tiling=tiling,
            preset=asked.preset,
            postprocess=asked.postprocess,
            enhance=asked.enhance,
        ),
        priority=submission.priority,
        ttl_s=submission.ttl_s or services.settings.job_ttl_s,
        deadline_s=submission.deadline_s,
        session_id=submission.session_id,
        webhook=_webhook(submission, services),
        metadata=submission.metadata,
        images=infos,
        notices=notices([*earlier.images, *images], infos),
        model=workers[0].model if workers else "",
        trace=trace(),
        prediction=predicted,
        idempotency=(repeat.key, submission.fingerprint(_named(submission, ids), said))
        if repeat.key
        else None,
    )


def _named(submission: Submission, ids: Sequence[str]) -> list[str]:
    """Return what stands for each image in a fingerprint: its pixels, or the URL it came from.

    The same request stays the same when somebody has changed the image under its URL.
    """
    files = len(ids) - len(submission.images)
    named = [
        text if is_url(text) else image_id
        for text, image_id in zip(submission.images, ids[files:], strict=True)
    ]
    return [*ids[:files], *named]


def trace() -> dict[str, str]:
    """Return what leads from a job back to this request."""
    traceparent = g.traced.traceparent
    return {"request_id": g.request_id} | ({"traceparent": traceparent} if traceparent else {})


def add(job: NewJob, services: Services) -> StoredJob:
    """Store a job of this request and ring for it; raises what the store does."""

    def ring(bell: Doorbell) -> DoorbellMessage:
        return services.doorbells.compose(nearest(bell, job.tenant, job.session_id, services))

    return auth.add(job, ring)

"""From a submitted question to a stored and enqueued job."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flask import Request, g
from pydantic import ValidationError

from gateway import uploads
from gateway.affinity import nearest
from gateway.asking import Asked, resolved
from gateway.constraints import check_constraint
from gateway.decoding import CanonicalImage
from gateway.fetching import Fetching, is_url
from gateway.problems import from_validation
from gateway.schemas import ImageUpload
from gateway.services import Services
from gateway.sizing import AnyImage, check_context, image_info, notices
from gateway.submission import Received, Submission, is_json, json_object, receive
from shared import queue
from shared.errors import (
    BadParameters,
    ImageNotFound,
    InvalidBase64,
    NotFound,
    UnsupportedMediaType,
    UrlNotAllowed,
)
from shared.images import ImageHeader, StoredImage
from shared.jobs import JobInput, Priority
from shared.net import target
from shared.row import JobRow
from shared.store import Added, NewJob
from shared.webhooks import Webhook, WebhookEvent

_IMAGE_ID = re.compile(r"img_[0-9a-f]{64}")


def submit(request: Request, services: Services, tenant: str, idempotency_key: str | None) -> Added:
    """Check, store and enqueue what a request asks for; raises a ServiceError of any kind."""
    received = receive(request, services.settings)
    asked = resolved(received.submission, services.presets, services.rules)
    check_constraint(asked.params)
    images = _images(received, services, tenant)
    job = _new_job(received.submission, asked, images, idempotency_key, services, tenant)
    for image in images:
        if isinstance(image, StoredImage):
            services.images.put(tenant, image)
    return _add(job, services)


def resubmit(row: JobRow, services: Services) -> Added:
    """Store and enqueue a new job that asks what `row` asked."""
    return _add(
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
            webhook=_webhook_of(row),
            trace=_trace(),
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


def keep_image(request: Request, services: Services, tenant: str) -> ImageHeader:
    """Store the one image of a request by itself; raises a ServiceError of any kind."""
    image = _decoded(_single_upload(request, services), "/image", services)
    services.images.put(tenant, image, uploaded=True)
    return services.images.header(tenant, image.id)


def warm(image: ImageHeader, max_pixels: int, services: Services, tenant: str) -> Added:
    """Enqueue a job that only encodes an image, so that a question finds its features."""
    workers = services.workers.fresh()
    return _add(
        NewJob(
            tenant=tenant,
            input=JobInput(prompt="", images=(image.id,), max_pixels=max_pixels, encode_only=True),
            ttl_s=services.settings.job_ttl_s,
            images=[image_info(image, max_pixels, workers)],
            model=workers[0].model if workers else "",
            trace=_trace(),
        ),
        services,
    )


def _single_upload(request: Request, services: Services) -> uploads.Upload:
    if request.mimetype == "multipart/form-data":
        files = [*request.files.getlist("image"), *request.files.getlist("file")]
        if len(files) != 1 or len(request.files) != 1:
            raise BadParameters("Send exactly one file in the field image.", pointer="/image")
        return uploads.from_file(files[0], pointer="/image", settings=services.settings)
    if not is_json(request):
        raise UnsupportedMediaType
    try:
        text = ImageUpload.model_validate(json_object(request)).image
    except ValidationError as error:
        raise from_validation(error) from None
    if is_url(text):
        return Fetching.begin(services.outward, services.settings).fetch(text, "/image")
    return uploads.from_text(text, pointer="/image", settings=services.settings)


def _images(received: Received, services: Services, tenant: str) -> list[AnyImage]:
    settings = services.settings
    fetching = Fetching.begin(services.outward, settings)
    images: list[AnyImage] = []
    for file in received.files:
        pointer = f"/images/{len(images)}"
        upload = uploads.from_file(file, pointer=pointer, settings=settings)
        images.append(_decoded(upload, pointer, services))
    for text in received.submission.images:
        pointer = f"/images/{len(images)}"
        if text.startswith("img_"):
            images.append(_known(text, pointer, services, tenant))
            continue
        if is_url(text):
            upload = fetching.fetch(text, pointer)
        else:
            upload = uploads.from_text(text, pointer=pointer, settings=settings)
        images.append(_decoded(upload, pointer, services))
    return images


def _known(image_id: str, pointer: str, services: Services, tenant: str) -> ImageHeader:
    if not _IMAGE_ID.fullmatch(image_id):
        raise InvalidBase64(
            "This is neither an image id (img_ and 64 hexadecimal digits) nor base64.",
            pointer=pointer,
        )
    try:
        return services.images.header(tenant, image_id)
    except NotFound:
        raise ImageNotFound(pointer=pointer) from None


def _decoded(upload: uploads.Upload, pointer: str, services: Services) -> StoredImage:
    with services.traffic.decoding():
        image: CanonicalImage = services.decoder.decode(upload, pointer=pointer)
    return StoredImage(
        id=image.id,
        png=image.png,
        width=image.width,
        height=image.height,
        source=(image.source_width, image.source_height),
        format=image.format,
        notices=tuple(notice.model_dump() for notice in image.notices),
    )


def _new_job(
    submission: Submission,
    asked: Asked,
    images: Sequence[AnyImage],
    idempotency_key: str | None,
    services: Services,
    tenant: str,
) -> NewJob:
    workers = services.workers.fresh()
    infos = [image_info(image, submission.pixel_budget(), workers) for image in images]
    check_context(infos, workers)
    ids = [image.id for image in images]
    return NewJob(
        tenant=tenant,
        input=JobInput(
            prompt=asked.prompt,
            images=tuple(ids),
            params=asked.params,
            max_pixels=submission.pixel_budget(),
            preset=asked.preset,
            postprocess=asked.postprocess,
        ),
        priority=submission.priority,
        ttl_s=submission.ttl_s or services.settings.job_ttl_s,
        deadline_s=submission.deadline_s,
        session_id=submission.session_id,
        webhook=_webhook(submission, services),
        metadata=submission.metadata,
        images=infos,
        notices=notices(images, infos),
        model=workers[0].model if workers else "",
        trace=_trace(),
        idempotency=(idempotency_key, submission.fingerprint(_named(submission, ids)))
        if idempotency_key
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


def _trace() -> dict[str, str]:
    return {"request_id": g.request_id}


def _add(job: NewJob, services: Services) -> Added:
    added = services.store.add(job)
    if not added.replayed:
        queue.ring([nearest(added.doorbell, job.tenant, job.session_id, services)])
    return added

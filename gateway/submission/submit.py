"""Turns a request into a stored and enqueued job: checks it, reads its images, plans, stores."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from flask import Request

from gateway import auth
from gateway.admission.admission import JobProfile
from gateway.http.server.client_connection import forget_body
from gateway.images.url_fetch import is_url
from gateway.large_input import give_way
from gateway.results.file_name import clean_name
from gateway.services import Services
from gateway.submission.chats.chat import Chat
from gateway.submission.chats.conversation import EarlierMessages, read_messages
from gateway.submission.content import ContentReader, RequestContent, SentContent
from gateway.submission.documents.intake import DocumentIntake, check_parameters
from gateway.submission.documents.plan import plan_content
from gateway.submission.enqueue import enqueue_job, trace_context
from gateway.submission.fields.fingerprint import fingerprint_of
from gateway.submission.fields.submission import Submission
from gateway.submission.idempotency import Idempotency
from gateway.submission.images.request_images import RequestImages, timed_decode
from gateway.submission.images.tiling import keeps_detail
from gateway.submission.planning.job_profile import profile_request
from gateway.submission.planning.plan import JobPlan
from gateway.submission.planning.reader import choose_reader
from gateway.submission.planning.schedule import schedule_of
from gateway.submission.request import ReceivedRequest, S, receive_request
from gateway.submission.resolve import ResolvedRequest, resolve
from gateway.submission.webhook import webhook_of_submission
from shared.errors import (
    DocumentNotFound,
    ImageNotFound,
    InputTooLong,
    ModelNotFound,
    ModelRequired,
    PayloadTooLarge,
    ReaderUnavailable,
    StoreUnavailable,
)
from shared.jobs import ImageInfo, ImagePlaces, JobInput, Reader
from shared.jobs.parameters.route import Route
from shared.jobs.response_api import ResponseFields
from shared.store import NewJob, StoredJob

#: Times that a job is stored whose own images are deleted by their ids at the same moment.
_STORE_TRIES = 5
#: Bytes of a job's input as its row stores it, images apart.
MAX_INPUT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for its job, and what it is to know of itself."""

    waiter: str = ""
    notices: Sequence[dict[str, str]] = ()


def submit_request(
    request: Request, services: Services, tenant: str, idempotency_key: str | None
) -> StoredJob:
    """Check, store and enqueue what a request asks for; raises a ServiceError of any kind."""
    idempotency = Idempotency(services.store, tenant, idempotency_key)
    with idempotency.allow_replay():
        services.admission.check_open(tenant, auth.current_position())
    received = receive_request(request, services.settings, Submission)
    return submit_received(request, received, services, idempotency)


def submit_received(
    request: Request,
    received: ReceivedRequest[S],
    services: Services,
    idempotency: Idempotency,
    waiting: Waiting | None = None,
) -> StoredJob:
    """Check, store and enqueue what a parsed request asks for; raises ServiceErrors of any kind."""
    tenant = idempotency.tenant
    checked = _check_request(received.submission, services, idempotency)
    checksums = received.submission.checksums(len(received.files))
    decode = timed_decode(services, detailed=keeps_detail(checked.resolved))
    reader = ContentReader(
        RequestImages.start(services, tenant, decode, checksums),
        DocumentIntake.of(services, tenant, received.submission),
    )
    content = reader.read_all(received)
    forget_body(request)
    names = [clean_name(file.filename) for file in received.files]
    waiting = waiting or Waiting()
    said = _Conversation(notices=waiting.notices, waiter=waiting.waiter)
    return _submit_content(checked, content, said, services, names)


def submit_chat(
    chat: Chat, services: Services, tenant: str, idempotency_key: str | None, waiter: str
) -> StoredJob:
    """Check, store and enqueue the last message of a chat, for which `waiter` then waits.

    Raises a ServiceError of any kind.
    """
    idempotency = Idempotency(services.store, tenant, idempotency_key, live=True)
    checked = _check_request(chat.submission, services, idempotency)
    decode = timed_decode(services, detailed=keeps_detail(checked.resolved))
    images = RequestImages.start(services, tenant, decode)
    documents = DocumentIntake.of(services, tenant, chat.submission)
    earlier, content = read_messages(chat, images, documents)
    check_parameters(chat.submission, content.document)
    # a preset has a prompt of its own, and images before it
    is_own_prompt = checked.resolved.prompt == chat.last.text
    said = _Conversation(
        earlier=earlier,
        image_places=chat.last.image_places if is_own_prompt and content.images else (),
        notices=chat.notices,
        waiter=waiter,
        response=chat.response,
    )
    return _submit_content(checked, content, said, services)


@dataclass(frozen=True, slots=True)
class _Conversation:
    """What a chat has beside its last question."""

    earlier: EarlierMessages = field(default_factory=EarlierMessages)
    #: Of the last question.
    image_places: ImagePlaces = ()
    #: About the request.
    notices: Sequence[dict[str, str]] = ()
    #: The request that waits for the answer.
    waiter: str = ""
    #: Of the Responses API.
    response: ResponseFields | None = None


@dataclass(frozen=True, slots=True)
class _CheckedRequest:
    """A request that the queue has room for; its images are not read yet."""

    resolved: ResolvedRequest
    profile: JobProfile
    idempotency: Idempotency


def _check_request(
    submission: Submission, services: Services, idempotency: Idempotency
) -> _CheckedRequest:
    """Merge the preset in, and find the workers of its model.

    Raises BadParameters, BadConstraint, InsufficientScope, ModelNotFound, ModelRequired,
    StoreUnavailable and QueueFull.
    """
    _check_may_go_on(submission.session_id, services, idempotency.tenant)
    most_tokens = services.settings.answer_max_tokens
    resolved = resolve(submission, services.presets, services.rules, most_tokens)
    services.constraints.check(resolved.params)
    route = _route_of(submission, services, idempotency)
    reader = _reader_of(resolved, route, services, idempotency)
    profile = profile_request(resolved, idempotency.tenant, reader, auth.current_position(), route)
    with idempotency.allow_replay():
        services.admission.check_queue(profile)
    return _CheckedRequest(resolved, profile, idempotency)


def _route_of(submission: Submission, services: Services, idempotency: Idempotency) -> Route:
    """Return the route of a request; a repeated one is refused for no change of the fleet."""
    try:
        return services.models.route_of(submission)
    except ModelRequired:
        known = idempotency.known_route()
        if known is None:
            raise
        return known
    except ModelNotFound:
        if idempotency.known_route() is None:
            raise
        # the store compares its name with that of the first request
        return services.models.find_route(submission.model, waits=True)


def _reader_of(
    resolved: ResolvedRequest, route: Route, services: Services, idempotency: Idempotency
) -> Reader:
    """Return what reads the images of a request; the same holds for a repeated one."""
    try:
        return choose_reader(resolved, services.admission.forecast(route).fleet.workers)
    except ReaderUnavailable:
        if idempotency.known_route() is None:
            raise
        return choose_reader(resolved, ())


def _check_may_go_on(session_id: str | None, services: Services, tenant: str) -> None:
    """Raise InsufficientScope where a key that may not read asks about what was said before."""
    if session_id is None or auth.may_read() or not services.sessions.turns(tenant, session_id):
        return
    auth.require_scope("read")


def _submit_content(
    checked: _CheckedRequest,
    content: RequestContent,
    said: _Conversation,
    services: Services,
    names: Sequence[str | None] = (),
) -> StoredJob:
    """Plan the job of a request whose images or document are read, then store and enqueue it.

    `names` are the file names of the first of its images, or of the document.
    """
    admission = services.admission
    plan = plan_content(checked.resolved, checked.profile, content, admission, said.earlier)
    if said.response and said.response.truncation == "disabled" and plan.earlier.left_out:
        raise InputTooLong(f"There is no room for {plan.earlier.left_out} earlier messages.")
    with checked.idempotency.allow_replay():
        services.admission.check(checked.profile, plan.prediction)
    job = _name_content(_new_job(checked, plan, content, said, services), content, names)
    sent = SentContent.of(content, plan.earlier.images)
    stored = None
    try:
        stored = _store_job(job, sent, services)
    finally:
        if stored is None or stored.replayed:
            # without Redis, what was sent goes when its time is over
            with suppress(StoreUnavailable):
                sent.release(job, services)
    return stored


def _name_content(job: NewJob, content: RequestContent, names: Sequence[str | None]) -> NewJob:
    """Return the job with the names of the first of its own images, which come last.

    Those of a document are its own.
    """
    if job.input.document is not None:
        document = job.input.document.model_copy(update={"name": next(iter(names), None)})
        return replace(job, input=job.input.model_copy(update={"document": document}))
    images = _name_images(job.images, len(content.images), names)
    return replace(job, images=images)


def _name_images(
    infos: Sequence[ImageInfo], own: int, names: Sequence[str | None]
) -> Sequence[ImageInfo]:
    """Return the infos with the names of the first of the job's `own` images, which come last."""
    named = list(infos)
    for at, name in enumerate(names, start=len(infos) - own):
        named[at] = named[at].model_copy(update={"name": name})
    return named


def _store_job(job: NewJob, sent: SentContent, services: Services) -> StoredJob:
    """Store and enqueue a job with the images or the document that its request carries.

    They belong to the job before it is stored, so that they stay when another job with them is
    erased. Whoever deletes one by its id meanwhile means that of earlier requests.
    """
    for _ in range(_STORE_TRIES - 1):
        try:
            return _put_and_enqueue(job, sent, services)
        except (ImageNotFound, DocumentNotFound):
            if not sent:
                raise
    return _put_and_enqueue(job, sent, services)


def _put_and_enqueue(job: NewJob, sent: SentContent, services: Services) -> StoredJob:
    sent.put(job, services)
    return enqueue_job(job, services)


def _new_job(
    checked: _CheckedRequest,
    plan: JobPlan,
    content: RequestContent,
    said: _Conversation,
    services: Services,
) -> NewJob:
    """Put a planned job together; raises UrlNotAllowed for its webhook."""
    submission = checked.resolved.submission
    ttl_s = submission.ttl_s or services.settings.job_ttl_s
    # a long conversation is walked over in each of these steps
    give_way()
    job_input = _job_input(checked.resolved, plan, content, said)
    give_way()
    _check_size(job_input)
    give_way()
    idempotency = _idempotency_record(checked, job_input)
    give_way()
    return NewJob(
        tenant=checked.profile.tenant,
        input=_with_seed(job_input) if said.response else job_input,
        priority=submission.priority,
        ttl_s=ttl_s,
        deadline_s=submission.deadline_s,
        session_id=submission.session_id,
        group=submission.group,
        schedule=schedule_of(submission, ttl_s),
        webhook=webhook_of_submission(submission, services),
        metadata=submission.metadata,
        # the pages of a document are no images of their own
        images=() if plan.document else plan.infos,
        page_tokens=sum(info.tokens for info in plan.infos) if plan.document else 0,
        notices=[*said.notices, *plan.notices],
        waiter=said.waiter,
        response=said.response,
        route=checked.profile.route,
        trace=trace_context(),
        prediction=plan.prediction,
        idempotency=idempotency,
    )


def _job_input(
    resolved: ResolvedRequest,
    plan: JobPlan,
    content: RequestContent,
    said: _Conversation,
) -> JobInput:
    return JobInput(
        prompt=resolved.prompt,
        before=plan.earlier.as_messages(),
        thread=plan.earlier.thread,
        images=tuple(image.id for image in content.images),
        document=plan.document,
        image_places=said.image_places,
        params=resolved.params,
        max_pixels=plan.max_pixels,
        tiling=plan.tiling,
        preset=resolved.preset,
        postprocess=resolved.postprocess,
        enhance=resolved.enhance,
        reference=resolved.submission.reference,
        reader=plan.reader,
        boxes=resolved.submission.boxes,
        evidence=resolved.submission.evidence,
        find=resolved.find,
        review=resolved.submission.review,
        keep_all=bool(said.response and said.response.truncation == "disabled"),
    )


def _with_seed(job_input: JobInput) -> JobInput:
    """Return an input whose second attempt says the same as its first, which was streamed."""
    params = job_input.params
    if not params.do_sample or params.seed is not None:
        return job_input
    seeded = params.model_copy(update={"seed": secrets.randbits(63)})
    return job_input.model_copy(update={"params": seeded})


def _check_size(job_input: JobInput) -> None:
    """Raise PayloadTooLarge: whoever lists jobs reads the whole row, and so does the worker."""
    size = len(job_input.model_dump_json().encode("utf-8", "replace"))
    if size > MAX_INPUT_BYTES:
        raise PayloadTooLarge(
            f"The texts of the job have {size} bytes; at most {MAX_INPUT_BYTES} are stored.",
            hint="Shorten the prompt, the earlier messages or the constraint.",
        )


def _idempotency_record(checked: _CheckedRequest, job_input: JobInput) -> tuple[str, str] | None:
    """Return the key and the fingerprint of the request, if it has a key."""
    key, submission = checked.idempotency.key, checked.resolved.submission
    if not key:
        return None
    ids = [job_input.document.id] if job_input.document else job_input.images
    image_names = _image_names(submission, ids)
    # the store compares the models: which names mean the same depends on the fleet
    places = job_input.image_places
    return key, fingerprint_of(submission, image_names, job_input.before, places)


def _image_names(submission: Submission, image_ids: Sequence[str]) -> list[str]:
    """Return what stands for each image, or the document, in a fingerprint: its id, or its URL.

    The same request stays the same when somebody has changed the image under its URL.
    """
    texts = [*submission.images, *([submission.document] if submission.document else ())]
    files = len(image_ids) - len(texts)
    names = [
        text if is_url(text) else image_id
        for text, image_id in zip(texts, image_ids[files:], strict=True)
    ]
    return [*image_ids[:files], *names]

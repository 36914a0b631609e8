"""Mistral's OCR over jobs: one request that reads a document or an image and waits for it."""

from __future__ import annotations

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from gateway import auth
from gateway.http import mistral_errors
from gateway.http.problems import documented
from gateway.http.server.client_connection import forget_body
from gateway.responses.following.held_response import KeepAlive
from gateway.responses.reading_apis.mistral import OcrView
from gateway.routes.openai.chats import CHAT_ERRORS
from gateway.routes.reading_apis.annotated import AnnotatedReading, FurtherJobs
from gateway.routes.reading_apis.waiting import hold_until_read
from gateway.schemas.jobs.queries import KeyHeader
from gateway.schemas.readings import OcrAnswer
from gateway.services import current_services
from gateway.submission.idempotency import Idempotency, find_key
from gateway.submission.reading_apis.annotations import check_annotations
from gateway.submission.reading_apis.mistral import in_terms_of_ocr, receive_ocr
from gateway.submission.submit import Waiting, submit_received
from shared import errors
from shared.store.jobs.waiters import new_waiter

ocr = APIBlueprint("ocr", __name__, abp_tags=[Tag(name="reading")])

#: Beside those of every route that holds a request.
_TOO_LARGE = documented(errors.ResultTooLarge)


@ocr.post(
    "/v1/ocr",
    summary="Read a document in Mistral's form",
    responses={200: OcrAnswer, **mistral_errors.in_its_form(CHAT_ERRORS | _TOO_LARGE)},
)
def read(header: KeyHeader) -> Response:
    """Read a document or an image, and answer with its pages when that is done.

    The request is held; newlines come before the answer when that takes long. If the client
    disconnects, the job is canceled. Errors have Mistral's form.
    """
    services, tenant = current_services(), auth.current_tenant()
    key = find_key(request, services, tenant, header.idempotency_key)
    idempotency = Idempotency(services.store, tenant, key, live=True)
    # refused before the document is read and parsed
    with idempotency.allow_replay():
        services.admission.check_open(tenant, auth.current_position())
    with in_terms_of_ocr():
        asked = receive_ocr(request, services.settings)
        check_annotations(asked.annotations, services.constraints)
        waiting = Waiting(new_waiter(), asked.own.notices)
        stored = submit_received(request, asked.received, services, idempotency, waiting)
    forget_body(request)
    keep_alive = KeepAlive.of(request)
    if asked.is_more_than_text:
        jobs = FurtherJobs.of(request, services, idempotency)
        reading = jobs.hold(stored.row(), waiting.waiter)
        return AnnotatedReading(asked, stored.row(), jobs).respond(reading, keep_alive)
    view = OcrView(services, asked.options)
    return hold_until_read(stored.row(), services, waiting.waiter, keep_alive, view)

"""Open WebUI's external document loader over jobs: a file as the body, its pages as the answer."""

from __future__ import annotations

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from gateway import auth
from gateway.http.server.client_connection import forget_body
from gateway.responses.following.held_response import KeepAlive
from gateway.responses.reading_apis.open_webui import loaded_view
from gateway.routes.openai.chats import CHAT_ERRORS
from gateway.routes.reading_apis.waiting import hold_until_read
from gateway.schemas.jobs.queries import KeyHeader
from gateway.schemas.readings import LoadedFile
from gateway.services import current_services
from gateway.submission.idempotency import Idempotency
from gateway.submission.reading_apis.open_webui import receive_file
from gateway.submission.submit import Waiting, submit_received
from shared.store.jobs.waiters import new_waiter

loader = APIBlueprint("loader", __name__, abp_tags=[Tag(name="reading")])

#: Seconds of silence after which the loader gives up, if nobody has set more.
_TIMEOUT_S = 30.0


@loader.put(
    "/process",
    summary="Read a file for Open WebUI",
    responses={200: LoadedFile, **CHAT_ERRORS},
)
def process(header: KeyHeader) -> Response:
    """Read the file that is the body, and answer with the text of each page when that is done.

    `X-Filename` may name it, percent-encoded. Newlines come before the answer when it takes long.
    If the client disconnects, the job is canceled.
    """
    services, tenant = current_services(), auth.current_tenant()
    idempotency = Idempotency(services.store, tenant, header.idempotency_key, live=True)
    # refused before the file is read
    with idempotency.allow_replay():
        services.admission.check_open(tenant, auth.current_position())
    received = receive_file(request, services.settings)
    waiting = Waiting(new_waiter())
    stored = submit_received(request, received, services, idempotency, waiting)
    forget_body(request)
    keep_alive = KeepAlive.within(_TIMEOUT_S)
    return hold_until_read(stored.row(), services, waiting.waiter, keep_alive, loaded_view)

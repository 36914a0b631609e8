"""Makes the gateway's Flask app: its configuration, blueprints and hooks around each request."""

from __future__ import annotations

import logging
import re
import secrets
import time

from flask import Response, g, jsonify, request
from flask.typing import ResponseReturnValue
from flask_openapi3 import Info, OpenAPI
from pydantic import ValidationError

from gateway import audit, auth
from gateway.http import problems
from gateway.http.base_path import BasePath, link_base
from gateway.http.bodies.multipart import FormRequest
from gateway.http.json_answers import JsonAnswers
from gateway.http.pages.documents import add_documents
from gateway.openapi import document, queries
from gateway.openapi.security import SECURITY_SCHEMES
from gateway.routes.health import health
from gateway.routes.jobs.estimate import estimate
from gateway.routes.jobs.events import events
from gateway.routes.jobs.groups import groups
from gateway.routes.jobs.jobs import jobs
from gateway.routes.jobs.predict import predict
from gateway.routes.jobs.reviews import reviews
from gateway.routes.metrics import metrics
from gateway.routes.openai.batches import batches
from gateway.routes.openai.chats import openai
from gateway.routes.openai.conversations import conversations
from gateway.routes.openai.files import files
from gateway.routes.openai.responses import responses
from gateway.routes.operations.board import board
from gateway.routes.operations.fleet import fleet
from gateway.routes.operations.page import operations_page
from gateway.routes.page import page
from gateway.routes.presets import presets
from gateway.routes.reading_apis.mistral import ocr
from gateway.routes.reading_apis.open_webui import loader
from gateway.routes.sessions import sessions
from gateway.routes.uploads.direct_uploads import direct_uploads
from gateway.routes.uploads.documents import documents
from gateway.routes.uploads.images import images
from gateway.routes.usage import usage
from gateway.routes.webhooks import webhooks
from gateway.services import Services, current_services
from gateway.submission.body import refuse_compressed
from shared.errors import ServiceError
from shared.log import bound
from shared.settings import Settings

_log = logging.getLogger(__name__)
#: Requested every second by machines; their log lines would bury the others.
_PROBES = ("/healthz", "/readyz", "/metrics")
#: For pages and answers without one of their own: no page of others may frame them.
_POLICY = "frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,128}")


def create_app(settings: Settings | None = None) -> OpenAPI:
    """Return the WSGI app."""
    settings = settings or Settings()
    app = OpenAPI(
        __name__,
        info=Info(title="Sightline", version="1", description="Questions about images."),
        doc_prefix="/docs",
        security_schemes=SECURITY_SCHEMES,
        validation_error_callback=_refuse_invalid,
        static_folder=None,
    )
    app.request_class = FormRequest
    app.wsgi_app = BasePath(app.wsgi_app, settings)
    app.config["MAX_CONTENT_LENGTH"] = settings.request_max_bytes
    # base64 images travel in form fields too
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.request_max_bytes
    app.config["MAX_FORM_PARTS"] = 200
    app.json = JsonAnswers(app)
    # its default shows every document to a validator on the internet
    app.config["SWAGGER_CONFIG"] = {"validatorUrl": "none"}
    app.extensions["sightline"] = Services.build(settings)
    problems.install(app)
    app.before_request(_begin_request)
    # a browser asks without the key that it is going to send
    app.before_request(lambda: current_services().cors.answer_preflight(request))
    app.before_request(problems.refuse_redirect)
    app.before_request(auth.admit_request)
    app.before_request(lambda: refuse_compressed(request))
    app.after_request(_end_request)
    app.teardown_request(_unbind_log_fields)
    blueprints = (
        *(
            jobs,
            reviews,
            groups,
            estimate,
            events,
            images,
            direct_uploads,
            documents,
            sessions,
            predict,
        ),
        *(openai, responses, conversations, files, batches, ocr, loader, presets),
        *(health, webhooks, metrics, usage, board, fleet),
    )
    for blueprint in blueprints:
        app.register_api(blueprint)
    _add_documents(app)
    document.complete(app)
    app.before_request(queries.refuse_unknown(app.api_doc["paths"]))
    return app


def _add_documents(app: OpenAPI) -> None:
    app.register_blueprint(page)
    app.register_blueprint(operations_page)
    add_documents(app)
    app.view_functions["openapi.doc_url"] = lambda: _show_document(app)
    app.add_url_rule("/openapi.json", "openapi_json", lambda: _show_document(app))


def _show_document(app: OpenAPI) -> Response:
    base = link_base()
    return jsonify(app.api_doc | {"servers": [{"url": base}]} if base else app.api_doc)


def _refuse_invalid(error: ValidationError) -> Response:
    return problems.problem(problems.from_validation(error))


def _begin_request() -> None:
    sent_id = request.headers.get("X-Request-Id", "")
    g.request_id = sent_id if _REQUEST_ID.fullmatch(sent_id) else "req_" + secrets.token_hex(12)
    g.started_at = time.perf_counter()
    # every answer is whole: nothing here is worth a part, and a wrong range would be an error
    request.environ.pop("HTTP_RANGE", None)
    g.traced = current_services().tracing.begin_request(request.headers.get("traceparent"))
    g.log_fields = bound(request_id=g.request_id)
    g.log_fields.__enter__()


def _end_request(response: Response) -> ResponseReturnValue:
    response.headers["X-Request-Id"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Content-Security-Policy", _POLICY)
    if auth.needs_key(request.path):
        response.headers.setdefault("Cache-Control", "no-store")
    auth.add_limit_headers(response)
    current_services().cors.add_headers(request, response)
    if not g.get("ended"):
        # flask ends a request again whose answer fails in what follows
        g.ended = True
        _record_end(response)
    return response


def _record_end(response: Response) -> None:
    if auth.needs_key(request.path) and (line := audit.describe_request(request, response)):
        current_services().audit.note(**line)
    route = request.url_rule.rule if request.url_rule else None
    refusal: ServiceError | None = g.get("refusal")
    seconds = time.perf_counter() - g.started_at
    current_services().http_metrics.count_response(
        request.method, route, response.status_code, seconds, refusal
    )
    current_services().tracing.end_request(g.traced, request.method, route, response.status_code)
    # the title and not the detail, which may quote the caller
    cause = {"code": refusal.code, "cause": refusal.title()} if refusal else {}
    _log.log(
        logging.DEBUG if route in _PROBES else logging.INFO,
        "request.finished",
        extra={
            "method": request.method,
            "route": route,
            "status": response.status_code,
            "ms": round(1000 * seconds, 1),
            **cause,
        },
    )


def _unbind_log_fields(_: BaseException | None) -> None:
    log_fields = g.pop("log_fields", None)
    if log_fields is not None:
        log_fields.__exit__(None, None, None)

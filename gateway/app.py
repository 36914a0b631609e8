"""The gateway's Flask app."""

from __future__ import annotations

import logging
import re
import secrets
import time

from flask import Response, g, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from flask_openapi3 import Info, OpenAPI
from pydantic import ValidationError

from gateway import auth
from gateway.http import error_page, problems
from gateway.http.multipart import FormRequest
from gateway.openapi import document
from gateway.openapi.security import SECURITY_SCHEMES
from gateway.routes.estimate import estimate
from gateway.routes.events import events
from gateway.routes.health import health
from gateway.routes.images import images
from gateway.routes.jobs import jobs
from gateway.routes.metrics import metrics
from gateway.routes.openai import openai
from gateway.routes.page import page
from gateway.routes.predict import predict
from gateway.routes.presets import presets
from gateway.routes.sessions import sessions
from gateway.routes.webhooks import webhooks
from gateway.services import Services, current_services
from shared.errors import ServiceError
from shared.log import bound
from shared.settings import Settings

_log = logging.getLogger(__name__)
#: Asked every second by machines; their lines would bury the others.
_PROBES = ("/healthz", "/readyz", "/metrics")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,128}")


def create_app(settings: Settings | None = None) -> OpenAPI:
    """Return the WSGI app."""
    settings = settings or Settings()
    app = OpenAPI(
        __name__,
        info=Info(title="Sightline", version="1", description="Questions about images."),
        doc_prefix="/docs",
        security_schemes=SECURITY_SCHEMES,
        validation_error_callback=_invalid,
        static_folder=None,
    )
    app.request_class = FormRequest
    app.config["MAX_CONTENT_LENGTH"] = settings.request_max_bytes
    # base64 images travel in form fields too
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.request_max_bytes
    app.config["MAX_FORM_PARTS"] = 200
    app.json.sort_keys = False
    app.json.ensure_ascii = False
    # its default shows every document to a validator on the internet
    app.config["SWAGGER_CONFIG"] = {"validatorUrl": "none"}
    app.extensions["sightline"] = Services.build(settings)
    problems.install(app)
    app.before_request(_begin)
    app.before_request(auth.begin)
    app.after_request(_end)
    app.teardown_request(_unbind)
    own = (
        *(jobs, estimate, events, images, sessions, predict, openai, presets),
        *(health, webhooks, metrics),
    )
    for blueprint in own:
        app.register_api(blueprint)
    _add_documents(app)
    document.complete(app)
    return app


def _add_documents(app: OpenAPI) -> None:
    app.register_blueprint(page)
    app.add_url_rule("/docs/errors", "errors", error_page.page)
    app.add_url_rule("/docs", "docs", lambda: redirect("/docs/swagger"))
    app.add_url_rule("/openapi.json", "openapi_json", lambda: jsonify(app.api_doc))


def _invalid(error: ValidationError) -> Response:
    return problems.problem(problems.from_validation(error))


def _begin() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else "req_" + secrets.token_hex(12)
    g.began = time.perf_counter()
    g.traced = current_services().tracing.begin_request(request.headers.get("traceparent"))
    g.lines = bound(request_id=g.request_id)
    g.lines.__enter__()


def _end(response: Response) -> ResponseReturnValue:
    response.headers["X-Request-Id"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    auth.tell(response)
    route = request.url_rule.rule if request.url_rule else None
    refusal: ServiceError | None = g.get("refusal")
    seconds = time.perf_counter() - g.began
    current_services().http_metrics.answered(
        request.method, route, response.status_code, seconds, refusal
    )
    current_services().tracing.end_request(g.traced, request.method, route, response.status_code)
    # the title and not the detail, which may quote the caller
    why = {"code": refusal.code, "cause": refusal.title()} if refusal else {}
    _log.log(
        logging.DEBUG if route in _PROBES else logging.INFO,
        "request.finished",
        extra={
            "method": request.method,
            "route": route,
            "status": response.status_code,
            "ms": round(1000 * seconds, 1),
            **why,
        },
    )
    return response


def _unbind(_: BaseException | None) -> None:
    lines = g.pop("lines", None)
    if lines is not None:
        lines.__exit__(None, None, None)

"""gunicorn's gevent worker, whose own refusals are problems like all others."""

from __future__ import annotations

import logging
import secrets
import socket
from typing import Any

from gunicorn.http.errors import (
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    ParseException,
)
from gunicorn.workers.ggevent import GeventWorker

from gateway.problems import MIMETYPE, problem_text
from shared.errors import InputError, ServiceError

_log = logging.getLogger(__name__)
_REASONS = {400: "Bad Request", 500: "Internal Server Error"}


class Worker(GeventWorker):
    """Answers what never becomes a request (broken HTTP) with problem+json instead of HTML."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:  # noqa: ARG002
        """Tell the client what was wrong with its bytes; the connection closes afterwards."""
        request_id = "req_" + secrets.token_hex(12)
        error = _refusal(exc)
        if error.status >= 500:
            _log.error("connection.crashed", exc_info=exc, extra={"request_id": request_id})
        else:
            _log.info("connection.refused", extra={"request_id": request_id, "code": error.code})
        try:
            client.sendall(_response(error, getattr(req, "path", None) or "/", request_id))
        except OSError:
            _log.debug("connection.gone", extra={"request_id": request_id})


def _refusal(exc: BaseException) -> ServiceError:
    ours = (InvalidResponseHeader, InvalidResponseHeaderName)
    if isinstance(exc, ParseException) and not isinstance(exc, ours):
        return InputError(f"The request is not valid HTTP: {exc}.")
    return ServiceError()


def _response(error: ServiceError, path: str, request_id: str) -> bytes:
    body = problem_text(error, path, request_id)
    head = (
        f"HTTP/1.1 {error.status} {_REASONS[error.status]}",
        "Connection: close",
        f"Content-Type: {MIMETYPE}",
        f"Content-Length: {len(body)}",
        f"X-Request-Id: {request_id}",
    )
    return "\r\n".join((*head, "", "")).encode("ascii") + body

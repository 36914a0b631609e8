"""gunicorn's gevent worker, whose own refusals are problems like all others."""

from __future__ import annotations

import logging
import secrets
import socket
from functools import cached_property
from typing import Any

from gunicorn.http.errors import (
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    ParseException,
)
from gunicorn.workers.ggevent import GeventWorker

from gateway.http.paced_socket import ClientTimeouts, PacedSocket
from gateway.http.problems import MIMETYPE, problem_text
from shared.errors import InputError, ServiceError
from shared.settings import Settings

_log = logging.getLogger(__name__)
_REASONS = {400: "Bad Request", 408: "Request Timeout", 500: "Internal Server Error"}


class Worker(GeventWorker):
    """Hurries slow clients; answers what never becomes a request with problem+json, not HTML."""

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:
        """Serve one connection at the pace that the settings ask for."""
        super().handle(listener, PacedSocket(client, self._pace), addr)

    @cached_property
    def _pace(self) -> ClientTimeouts:
        return ClientTimeouts.of(Settings(), self.cfg.keepalive)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve one request; its body is on its way."""
        # what is left of a body that was given up would be taken for the next request
        sock.await_body(req.force_close)
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.await_request()

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
    if isinstance(exc, ServiceError):
        return exc
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

"""gunicorn's gevent worker with client timeouts, and with problem+json for broken requests."""

from __future__ import annotations

import contextlib
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
from gateway.http.problems import MIMETYPE, problem_body
from gateway.large_input import SLICE, give_way
from shared.errors import InputError, RequestTimeout, ServiceError
from shared.excerpt import excerpt
from shared.settings import Settings

_log = logging.getLogger(__name__)
_REASONS = {400: "Bad Request", 408: "Request Timeout", 500: "Internal Server Error"}


class Worker(GeventWorker):
    """Cuts off slow clients; answers bytes that are no valid request with problem+json."""

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:
        """Serve one connection under the timeouts of the settings."""
        super().handle(listener, PacedSocket(client, self._timeouts), addr)

    @cached_property
    def _timeouts(self) -> ClientTimeouts:
        return ClientTimeouts.of(Settings(), self.cfg.keepalive)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve one request, whose body may still be coming."""
        # the rest of a body that was given up would be read as the next request
        sock.await_body(req.force_close)
        try:
            super().handle_request(listener_name, req, sock, addr)
            _discard_body(req.body)
        finally:
            sock.await_request()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:  # noqa: ARG002
        """Answer bytes that gunicorn cannot parse; the connection closes afterwards."""
        request_id = "req_" + secrets.token_hex(12)
        error = _service_error(exc)
        if error.status >= 500:
            _log.error("connection.crashed", exc_info=exc, extra={"request_id": request_id})
        else:
            _log.info("connection.refused", extra={"request_id": request_id, "code": error.code})
        try:
            client.sendall(_response_bytes(error, getattr(req, "path", None) or "/", request_id))
        except OSError:
            _log.debug("connection.gone", extra={"request_id": request_id})


def _discard_body(body: Any) -> None:
    """Read what a refused request left unread, which gunicorn would do at one stretch."""
    # a client that is too slow even for this is hung up on
    with contextlib.suppress(RequestTimeout):
        while body.read(SLICE):
            give_way()


def _service_error(exc: BaseException) -> ServiceError:
    # a ParseException too, but of our response
    server_faults = (InvalidResponseHeader, InvalidResponseHeaderName)
    if isinstance(exc, ServiceError):
        return exc
    if isinstance(exc, ParseException) and not isinstance(exc, server_faults):
        return InputError(f"The request is not valid HTTP: {excerpt(exc)}.")
    return ServiceError()


def _response_bytes(error: ServiceError, path: str, request_id: str) -> bytes:
    body = problem_body(error, path, request_id)
    head = (
        f"HTTP/1.1 {error.status} {_REASONS[error.status]}",
        "Connection: close",
        f"Content-Type: {MIMETYPE}",
        f"Content-Length: {len(body)}",
        f"X-Request-Id: {request_id}",
    )
    return "\r\n".join((*head, "", "")).encode("ascii") + body

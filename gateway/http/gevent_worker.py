"""gunicorn's gevent worker with client timeouts, and with problem+json for broken requests."""

from __future__ import annotations

import logging
import secrets
import socket
import time
from functools import cached_property, partial
from typing import Any
from weakref import WeakSet

import gevent
from gevent.pool import Pool
from gunicorn.http.errors import (
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    ParseException,
)
from gunicorn.workers.ggevent import GeventWorker

from gateway.http.leaving import DrainingServer, ListenerName, begin_leaving, is_leaving
from gateway.http.paced_socket import ClientTimeouts, PacedSocket
from gateway.http.problems import MIMETYPE, problem_body
from shared.errors import InputError, ServiceError
from shared.settings import Settings

_log = logging.getLogger(__name__)
#: Seconds that requests under way get when the process stops.
GRACE_S = 5.0
_REASONS = {400: "Bad Request", 408: "Request Timeout", 500: "Internal Server Error"}


class Worker(GeventWorker):
    """Cuts off slow clients; answers bytes that are no valid request with problem+json."""

    def run(self) -> None:
        """Serve until told to stop, then finish what has connected; as GeventWorker does.

        Ours is written out because GeventWorker resets the connections that nobody has accepted.
        """
        servers = [self._listen(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            gevent.sleep(1.0)
        for server in servers:
            server.close()
        for client in list(self._clients):
            client.end_if_idle()
        until = time.monotonic() + GRACE_S
        while any(server.pool.free_count() != server.pool.size for server in servers):
            if time.monotonic() > until:
                _log.warning("gateway.hung_up", extra={"cause": "requests took too long to end"})
                break
            self.notify()
            gevent.sleep(0.1)
        for server in servers:
            server.stop(timeout=0)

    def _listen(self, listener: Any) -> DrainingServer:
        listener.setblocking(1)
        pool = Pool(self.worker_connections)
        # a handler may begin after the listener is closed, and asks for its name
        name = ListenerName(listener.getsockname())
        server = DrainingServer(listener, handle=partial(self.handle, name), spawn=pool)
        if self.cfg.workers > 1:
            server.max_accept = 1
        server.start()
        return server

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop; before that, let proxies see for `gateway_leave_s` that this process is leaving."""
        if is_leaving():
            return
        begin_leaving()
        gevent.spawn_later(Settings().gateway_leave_s, super().handle_exit, sig, frame)

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:
        """Serve one connection under the timeouts of the settings."""
        paced = PacedSocket(client, self._timeouts)
        self._clients.add(paced)
        super().handle(listener, paced, addr)

    @cached_property
    def _clients(self) -> WeakSet[PacedSocket]:
        return WeakSet()

    @cached_property
    def _timeouts(self) -> ClientTimeouts:
        return ClientTimeouts.of(Settings(), self.cfg.keepalive)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve one request, whose body may still be coming."""
        # the rest of a body that was given up would be read as the next request
        sock.await_body(req.force_close)
        try:
            super().handle_request(listener_name, req, sock, addr)
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


def _service_error(exc: BaseException) -> ServiceError:
    # a ParseException too, but of our response
    server_faults = (InvalidResponseHeader, InvalidResponseHeaderName)
    if isinstance(exc, ServiceError):
        return exc
    if isinstance(exc, ParseException) and not isinstance(exc, server_faults):
        return InputError(f"The request is not valid HTTP: {exc}.")
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

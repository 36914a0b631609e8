"""gunicorn's gevent worker with bounds for connections, and problem+json for broken requests."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import time
from functools import cached_property, partial
from http import HTTPStatus
from typing import Any
from weakref import WeakSet

import gevent
from gevent.pool import Pool
from gunicorn.http.errors import (
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    ParseException,
)
from gunicorn.http.parser import RequestParser
from gunicorn.workers.ggevent import GeventWorker

from gateway.http.problems import MIMETYPE, problem_body, retry_after
from gateway.http.server.body_budget import BodyBudget
from gateway.http.server.bounded_request import BoundedRequest
from gateway.http.server.connection_table import ConnectionTable
from gateway.http.server.leaving import DrainingServer, ListenerName, begin_leaving, is_leaving
from gateway.http.server.open_files import connections_within, raise_soft_limit
from gateway.http.server.paced_socket import ClientTimeouts, PacedSocket
from gateway.large_input import SLICE, give_way
from shared.errors import InputError, RequestTimeout, ServiceError, Unavailable
from shared.excerpt import excerpt
from shared.settings import Settings

_log = logging.getLogger(__name__)
#: After these a connection ends, so that it does not keep its place for ever.
_MAX_REQUESTS = 1000
_MAX_AGE_S = 3600.0
#: Seconds that requests under way get when the process stops.
GRACE_S = 5.0

# gunicorn has no setting for it
RequestParser.mesg_class = BoundedRequest


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
        """Serve one connection under the timeouts of the settings, or refuse it politely."""
        sock = PacedSocket(client, self._timeouts, self._budget)
        if not self._connections.admit(sock):
            self.handle_error(None, sock, addr, _too_many_connections())
            sock.close()
            return
        self._clients.add(sock)
        try:
            super().handle(listener, sock, addr)
        finally:
            sock.release_body()
            self._connections.remove(sock)

    @cached_property
    def _clients(self) -> WeakSet[PacedSocket]:
        return WeakSet()

    @cached_property
    def _settings(self) -> Settings:
        return Settings()

    @cached_property
    def _timeouts(self) -> ClientTimeouts:
        return ClientTimeouts.of(self._settings, self.cfg.keepalive)

    @cached_property
    def _budget(self) -> BodyBudget:
        return BodyBudget(self._settings.body_budget_bytes)

    @cached_property
    def _connections(self) -> ConnectionTable:
        return ConnectionTable(connections_within(raise_soft_limit()))

    def handle_request(
        self, listener_name: Any, req: BoundedRequest, sock: PacedSocket, addr: Any
    ) -> None:
        """Serve one request, whose body may still be coming."""
        self._connections.begin_request(sock)
        # the rest of a body that was given up would be read as the next request
        sock.await_body(req.force_close, req.announced_bytes)
        if req.req_number >= _MAX_REQUESTS or sock.age_s > _MAX_AGE_S:
            req.force_close()
        try:
            super().handle_request(listener_name, req, sock, addr)
            _discard_body(req.body)
        finally:
            sock.await_request()
            self._connections.end_request(sock)
        # the next request may be here already, and others wait
        give_way()

    def handle_error(self, req: Any, client: PacedSocket, addr: Any, exc: BaseException) -> None:  # noqa: ARG002
        """Answer bytes that gunicorn cannot parse; the connection closes afterwards."""
        request_id = "req_" + secrets.token_hex(12)
        error = _service_error(exc)
        if error.status == 500:
            _log.error("connection.crashed", exc_info=exc, extra={"request_id": request_id})
        else:
            _log.info("connection.refused", extra={"request_id": request_id, "code": error.code})
        try:
            path, base = getattr(req, "path", None) or "/", self._settings.base_path
            client.sendall(
                _response_bytes(problem_body(error, path, request_id, base), error, request_id)
            )
        except OSError:
            _log.debug("connection.gone", extra={"request_id": request_id})


def _too_many_connections() -> Unavailable:
    return Unavailable("All connections of this gateway are in use.", retry_after_s=1)


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


def _response_bytes(body: bytes, error: ServiceError, request_id: str) -> bytes:
    head = [
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
        "Connection: close",
        f"Content-Type: {MIMETYPE}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"X-Request-Id: {request_id}",
    ]
    if error.status == 503:
        head.append(f"Retry-After: {retry_after(error.retry_after_s)}")
    return "\r\n".join((*head, "", "")).encode("ascii") + body

"""HTTP and TCP servers on loopback that receive requests, well-behaved or not."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Request:
    """One request as it arrived; `at` is the Unix time."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Receiver:
    """An HTTP server that records requests; `answer` returns status, headers and body."""

    answer: Callable[[Request], tuple[int, dict[str, str], bytes]] = field(
        default=lambda _: (200, {}, b"ok")
    )
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def receive(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Record the request and send the answer."""
        length = int(handler.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.path, headers, handler.rfile.read(length), time.time())
        self.requests.append(request)
        status, headers, body = self.answer(request)
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


@contextlib.contextmanager
def receiving(
    answer: Callable[[Request], tuple[int, dict[str, str], bytes]] | None = None, port: int = 0
) -> Iterator[Receiver]:
    """Run a receiver for the block, in a thread of its own."""
    receiver = Receiver(answer) if answer else Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def _receive(self) -> None:
            with contextlib.suppress(OSError):
                receiver.receive(self)

        do_GET = do_POST = _receive  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def raw(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a TCP server that calls `behave` with each connection; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            behave(peer)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def dripping(first: bytes) -> Callable[[socket.socket], None]:
    """Return a behaviour: send `first` at once, then one byte every 0.1 s, forever."""

    def behave(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(first)
        while True:
            peer.sendall(b"x")
            time.sleep(0.1)

    return behave

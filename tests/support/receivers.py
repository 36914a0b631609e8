"""HTTP receivers for tests, good and bad, on loopback and in threads of their own."""

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
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Receiver:
    """An HTTP server that notes what it gets; `answer` returns status, headers and body."""

    answer: Callable[[Request], tuple[int, dict[str, str], bytes]] = field(
        default=lambda _: (200, {}, b"ok")
    )
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, handler: http.server.BaseHTTPRequestHandler) -> None:
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
    receiver = Receiver(answer) if answer else Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def _take(self) -> None:
            with contextlib.suppress(OSError):
                receiver.take(self)

        do_GET = do_POST = _take  # noqa: N815

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
    """A TCP server that does as `behave` does with each connection; yields its port."""
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
    """Say `first` at once and then a byte ten times a second, for ever."""

    def behave(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(first)
        while True:
            peer.sendall(b"x")
            time.sleep(0.1)

    return behave

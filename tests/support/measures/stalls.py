"""Measures how long a gateway keeps one client waiting while another sends something hostile."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx

#: What a quiet machine must keep to; a busy one gets more, by its idle latency.
QUIET_S = 0.1
_BUSY_MACHINE = 10
_EVERY_S = 0.01


def connected(http: httpx.Client, within_s: float = 60.0) -> socket.socket:
    """Return a new connection to the server of a client."""
    sock = socket.create_connection((http.base_url.host, http.base_url.port or 80), within_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def send_raw(http: httpx.Client, *pieces: bytes) -> bytes:
    """Send pieces over one connection; return all that comes until the other side closes it."""
    with connected(http) as sock:
        reader = _Reader(sock)
        # a server that has had enough may close before the end
        with contextlib.suppress(OSError):
            for piece in pieces:
                sock.sendall(piece)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        return reader.result()


class _Reader(threading.Thread):
    """Reads along, as the server would stop reading once nobody takes its answers."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(daemon=True)
        self._sock = sock
        self._received = bytearray()
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while chunk := self._sock.recv(65_536):
                self._received += chunk

    def result(self) -> bytes:
        self.join()
        return bytes(self._received)


class Onlooker(threading.Thread):
    """Asks for /healthz all the time; `worst_s` is the longest that it had to wait."""

    def __init__(self, http: httpx.Client) -> None:
        super().__init__(daemon=True)
        self._http = http
        self._done = threading.Event()
        self.worst_s = 0.0

    def run(self) -> None:
        with httpx.Client(base_url=self._http.base_url, timeout=120, trust_env=False) as client:
            while not self._done.wait(_EVERY_S):
                began = time.perf_counter()
                client.get("/healthz").raise_for_status()
                self.worst_s = max(self.worst_s, time.perf_counter() - began)

    def stop(self) -> None:
        self._done.set()
        self.join()


@contextlib.contextmanager
def onlooking(http: httpx.Client) -> Iterator[Onlooker]:
    """Look on during the block; read `worst_s` after it."""
    onlooker = Onlooker(http)
    onlooker.start()
    try:
        # its first request is under way before the block begins
        time.sleep(0.1)
        yield onlooker
    finally:
        onlooker.stop()


def bearable_s(http: httpx.Client) -> float:
    """Return how long an onlooker may have to wait on this machine, as busy as it is now."""
    with onlooking(http) as onlooker:
        time.sleep(1)
    return _BUSY_MACHINE * max(QUIET_S, onlooker.worst_s)


def longest_wait_s(http: httpx.Client, attack: Callable[[], object]) -> float:
    """Return the longest that an onlooker had to wait during an attack."""
    with onlooking(http) as onlooker:
        attack()
    return onlooker.worst_s

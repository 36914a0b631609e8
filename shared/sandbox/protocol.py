"""The frames between a process and its child: two lengths, a JSON header, raw bytes."""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

_LENGTHS = struct.Struct(">II")
_MAX_HEADER_BYTES = 64 << 10
_CHUNK_BYTES = 1 << 20

Header = dict[str, Any]


class PeerGone(ConnectionError):
    """The other side closed the connection or broke the protocol."""


def send(sock: socket.socket, header: Header, body: bytes = b"") -> None:
    """Write one frame; raises TimeoutError past the socket's timeout, PeerGone if it is closed."""
    text = json.dumps(header).encode()
    try:
        sock.sendall(_LENGTHS.pack(len(text), len(body)) + text)
        sock.sendall(body)
    except ConnectionError as error:
        raise PeerGone(str(error)) from error


def receive(
    sock: socket.socket, *, max_body: int, deadline: float | None = None
) -> tuple[Header, bytes]:
    """Read one frame; raises TimeoutError past the monotonic `deadline`, PeerGone if closed."""
    header_length, body_length = _LENGTHS.unpack(_receive_exactly(sock, _LENGTHS.size, deadline))
    if header_length > _MAX_HEADER_BYTES or body_length > max_body:
        raise PeerGone("a frame is too large")
    text, body = (
        _receive_exactly(sock, length, deadline) for length in (header_length, body_length)
    )
    try:
        return json.loads(text), bytes(body)
    except ValueError as error:
        raise PeerGone("a frame's header is not JSON") from error


def _receive_exactly(sock: socket.socket, length: int, deadline: float | None) -> bytearray:
    data = bytearray(length)
    view, received = memoryview(data), 0
    while received < length:
        if deadline is not None:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            count = sock.recv_into(view[received : received + _CHUNK_BYTES])
        except ConnectionError as error:
            raise PeerGone(str(error)) from error
        if not count:
            raise PeerGone("the connection was closed")
        received += count
    return data

"""The child's side: serves requests from a socket, within limits that the kernel keeps."""

from __future__ import annotations

import os
import resource
import select
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from shared.sandbox import protocol

_STDIN, _STDERR = 0, 2
_MAX_REQUEST_BYTES = 1 << 31

#: Answers one request: its header and body to the header and body of the reply.
Handler = Callable[[protocol.Header, bytes], tuple[protocol.Header, bytes]]


def serve(answer: Handler) -> int:
    """Serve the socket that is the standard input until its other side hangs up; return 0.

    Each request names `memory_bytes` and `timeout_s`, which do not reach `answer`, and whether its
    data are the `same` as before. What runs out of memory is answered with the error `memory`.
    """
    sock = socket.socket(fileno=_STDIN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    protocol.send(sock, {"ready": os.getpid()})
    # libraries write about broken files here; a failed start was reported before
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDERR)
    data = b""
    while True:
        try:
            header, body = protocol.receive(sock, max_body=_MAX_REQUEST_BYTES)
            data = data if header.pop("same", False) else body
            _limit_memory(header.pop("memory_bytes"))
            _limit_cpu(header.pop("timeout_s"))
            protocol.send(sock, *_answer_within_memory(answer, header, data))
        except protocol.PeerGone:
            return 0


def _answer_within_memory(
    answer: Handler, header: protocol.Header, data: bytes
) -> tuple[protocol.Header, bytes]:
    try:
        return answer(header, data)
    except MemoryError:
        return {"error": "memory"}, b""


def _end_with_parent() -> None:
    """End at once when the parent is gone, also in the middle of a file."""
    watch = select.poll()
    watch.register(_STDIN, 0)
    watch.poll()
    os._exit(0)


def _limit_memory(memory_bytes: int) -> None:
    """Bound what this process can ever hold, its libraries included, to `memory_bytes`."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        return
    limit = _reserved_bytes() + memory_bytes
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (ValueError, OSError):
        # macOS has no such limit; the limits of time and pixels hold there
        if sys.platform == "linux":
            raise


def _reserved_bytes() -> int:
    """Return the bytes of address space that are mapped but not resident."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    mapped, resident = statm.read_text(encoding="ascii").split()[:2]
    return (int(mapped) - int(resident)) * resource.getpagesize()


def _limit_cpu(seconds: float) -> None:
    """Let the kernel end this process when a request has used `seconds` of CPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))

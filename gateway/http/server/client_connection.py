"""A request's connection: whether its client has closed it; closing it, and freeing its body."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any

from flask import Request

_log = logging.getLogger(__name__)

#: Seconds between two checks while a request waits for its job.
CHECK_INTERVAL_S = 2.0


def watch_client(request: Request) -> Callable[[], bool]:
    """Return a function that tells whether the client has closed its connection."""
    client = request.environ.get("gunicorn.socket")
    return (lambda: _has_closed(client)) if client is not None else (lambda: False)


def _has_closed(client: Any) -> bool:
    try:
        # select() knows no file beyond the 1024th
        client.settimeout(0)
        if client.recv(1, socket.MSG_PEEK):
            return False
        cause = "closed by the client"
    except BlockingIOError:
        return False
    except (OSError, ValueError) as error:
        # such as "Connection reset by peer"
        cause = str(error)
    _log.info("client.gone", extra={"cause": cause})
    return True


def hang_up(request: Request) -> None:
    """Close the connection in the middle of an answer, so that the client sees it is incomplete."""
    client = request.environ.get("gunicorn.socket")
    if client is not None:
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


def forget_body(request: Request) -> None:
    """Free a body that has been read and is needed no more, for the requests that come next."""
    request.forget_body()  # type: ignore[attr-defined]
    client = request.environ.get("gunicorn.socket")
    if client is not None:
        client.release_body()

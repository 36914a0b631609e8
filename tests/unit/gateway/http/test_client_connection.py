"""Whether a client has closed its connection is seen on every connection, also on the 1,100th."""

from __future__ import annotations

import fcntl
import resource
import socket
from collections.abc import Iterator

import pytest
from flask import Request

from gateway.http.server.client_connection import watch_client


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection; ours is a file that select() cannot name."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(fileno=fcntl.fcntl(ours, fcntl.F_DUPFD, 1100)) as high:
        ours.close()
        yield high, theirs
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_client_that_waits_or_asks_again_is_there_and_one_that_closes_is_gone(line):
    ours, theirs = line
    is_gone = watch_client(Request({"gunicorn.socket": ours}))
    assert not is_gone()
    theirs.sendall(b"GET")
    assert not is_gone()
    assert ours.recv(3) == b"GET"
    theirs.close()
    assert is_gone()

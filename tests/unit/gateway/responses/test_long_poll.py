"""How long a caller wants to wait, and whether it still does."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from gateway.http.server.client_connection import watch_client
from gateway.responses.following.long_poll import preferred_wait_s, query_wait_s
from shared.errors import BadParameters

SERVICES = SimpleNamespace(settings=SimpleNamespace(max_wait_s=60))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("wait=5", 5),
        ("Wait = 5", 5),
        ('wait="5"', 5),
        ("respond-async, wait=5", 5),
        ("respond-async; wait=5", 5),
        ("wait=0", 0),
        ("wait=999", 60),
        ("wait=9999999", 0),
        ("wait=5x", 0),
        ("wait=-5", 0),
        ("await=5", 0),
        ("return=minimal", 0),
    ],
)
def test_prefer_tells_how_long_a_caller_waits(header, seconds):
    request = SimpleNamespace(headers={"Prefer": header})
    assert preferred_wait_s(request, SERVICES) == seconds


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("7", 7), ("999999", 60)])
def test_the_query_tells_how_long_a_caller_waits(text, seconds):
    assert query_wait_s(SimpleNamespace(args={"wait": text}), SERVICES) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e3", "٣", "9999999", "x"])
def test_a_wait_that_is_no_number_of_seconds_is_refused(text):
    with pytest.raises(BadParameters):
        query_wait_s(SimpleNamespace(args={"wait": text}), SERVICES)


def test_a_client_is_gone_when_its_socket_has_ended_and_not_when_it_is_silent():
    ours, theirs = socket.socketpair()
    gone = watch_client(SimpleNamespace(environ={"gunicorn.socket": ours}))
    assert not gone()
    theirs.sendall(b"the next request")
    assert not gone()
    assert ours.recv(99) == b"the next request"
    theirs.close()
    assert gone()
    ours.close()
    assert gone()


def test_without_a_socket_to_look_at_every_client_is_there():
    assert not watch_client(SimpleNamespace(environ={}))()

"""A client's socket tells why nothing more can be written to it."""

from __future__ import annotations

import logging
import socket
import struct

import pytest

from gateway.http.server.body_budget import BodyBudget
from gateway.http.server.paced_socket import ClientTimeouts, PacedSocket

PACE = ClientTimeouts(idle_s=5, headers_s=5, body_grace_s=5, body_bytes_s=1, body_s=5, write_s=0.2)


@pytest.fixture
def line():
    """Both ends of a connection: the gateway's and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
    with ours, client:
        yield ours, client


def test_a_write_to_a_client_that_reset_the_line_is_logged(line, caplog):
    ours, client = line
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    with caplog.at_level(logging.INFO), pytest.raises(ConnectionResetError):
        PacedSocket(ours, PACE, BodyBudget(1000)).sendall(b"a word")
    assert "Connection reset by peer" in caplog.records[-1].cause


def test_a_client_that_takes_nothing_is_given_up_and_that_is_logged(line, caplog):
    ours, _ = line
    with caplog.at_level(logging.INFO), pytest.raises(ConnectionResetError):
        PacedSocket(ours, PACE, BodyBudget(1000)).sendall(bytes(64 << 20))
    assert caplog.records[-1].cause == "it does not read"

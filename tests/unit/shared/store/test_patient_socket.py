"""A socket whose time is over gives what has come, and else says so."""

from __future__ import annotations

import socket

import pytest

from shared.store.patient_socket import PatientSocket


class Starved(socket.socket):
    """A socket whose time is always over before it looks."""

    def recv(self, *args):
        if self.gettimeout():
            raise TimeoutError
        return super().recv(*args)

    def recv_into(self, *args):
        if self.gettimeout():
            raise TimeoutError
        return super().recv_into(*args)


@pytest.fixture
def ends():
    near, far = socket.socketpair()
    with Starved(fileno=near.detach()) as starved, far:
        starved.settimeout(0.01)
        yield PatientSocket(starved), far


def test_data_that_has_come_is_read_though_the_time_is_over(ends):
    near, far = ends
    far.sendall(b"reply")
    assert near.recv(2) == b"re"
    buffer = bytearray(8)
    assert near.recv_into(buffer) == 3
    assert buffer[:3] == b"ply"
    assert near.gettimeout() == 0.01


def test_without_data_the_time_is_over(ends):
    near, _ = ends
    with pytest.raises(TimeoutError):
        near.recv(2)
    assert near.gettimeout() == 0.01


def test_the_end_of_a_connection_is_seen(ends):
    near, far = ends
    far.close()
    assert near.recv(2) == b""

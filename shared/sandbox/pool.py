"""A pool of child processes: starts them, and kills and replaces those that overrun or die.

Only sockets, locks and processes of the standard library are used, so that everything waits
cooperatively once gevent has patched them, and just as well in plain threads.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from shared.sandbox import protocol
from shared.sandbox.turns import Turns

_log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = (sys.executable, "-P", "-m")
_ENVIRONMENT = {
    "PYTHONPATH": str(_ROOT),
    "LC_ALL": "C.UTF-8",
    # threads and arenas of the libraries would use up the address space meant for the file
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_START_TIMEOUT_S = 30.0
_EXIT_TIMEOUT_S = 2.0
#: A child is replaced after this many files, so that nothing can pile up in it.
_REQUESTS_PER_CHILD = 1000


class ChildFailed(Exception):
    """A child did not answer."""


class ChildOverran(ChildFailed):
    """A child used all its time; it was killed."""


class ChildDied(ChildFailed):
    """A child ended by itself; the message is its exit status."""


class NoChild(Exception):
    """No child could be had: all are busy, or none can be started."""


class Child:
    """One process and the socket to it."""

    def __init__(self, program: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process: subprocess.Popen[bytes] = subprocess.Popen(
                    (*_COMMAND, program),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=_ENVIRONMENT,
                    cwd="/",
                    # Ctrl-C in a terminal is meant for the parent; a child ends with its socket
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                raise
        self._socket = ours
        #: It has reported that it is ready; a child that never did is not replaced when it dies.
        self.started = False
        self._served = 0
        #: The data that it keeps, if the last request asked for that.
        self._kept: bytes | None = None

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def at_request_limit(self) -> bool:
        """Tell whether it has served as many requests as one child may."""
        return self._served >= _REQUESTS_PER_CHILD

    def is_alive(self) -> bool:
        """Tell whether its socket is open, which needs no SIGCHLD as polling the process would."""
        self._socket.settimeout(0)
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def ask(
        self,
        header: protocol.Header,
        data: bytes,
        *,
        timeout_s: float,
        max_body: int,
        keep: bool = False,
    ) -> tuple[protocol.Header, bytes]:
        """Return its answer; raise NoChild if it does not start, ChildOverran or ChildDied.

        `keep`: more requests about the same object will follow, so it need not be sent again.
        """
        self._await_start()
        deadline = time.monotonic() + timeout_s
        self._served += 1
        same, self._kept = keep and data is self._kept, data if keep else None
        try:
            self._socket.settimeout(timeout_s)
            protocol.send(self._socket, header | {"same": same}, b"" if same else data)
            return protocol.receive(self._socket, max_body=max_body, deadline=deadline)
        except TimeoutError as error:
            raise ChildOverran from error
        except protocol.PeerGone as error:
            raise self._exit_reason() from error

    def _await_start(self) -> None:
        if self.started:
            return
        deadline = time.monotonic() + _START_TIMEOUT_S
        try:
            protocol.receive(self._socket, max_body=0, deadline=deadline)
        except (TimeoutError, protocol.PeerGone) as error:
            raise NoChild("its process did not start") from error
        self.started = True

    def _exit_reason(self) -> ChildFailed:
        """Return why a child that broke off its connection ended, as the error to raise."""
        try:
            status = self._process.wait(_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return ChildDied("protocol error")
        if status == -signal.SIGXCPU:
            return ChildOverran()
        return ChildDied(f"signal {-status}" if status < 0 else f"exit status {status}")

    def kill(self) -> None:
        """End it at once and leave no zombie."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


class Pool:
    """`size` children at most, lent to one request each; belongs to the process that made it."""

    def __init__(self, program: str, size: int, name: str) -> None:
        """`program` is the module that children run, `name` what messages call them."""
        self._program = program
        self._name = name
        self.owner_pid = os.getpid()
        self._closed = False
        # last in, first out: the child used last is the warmest; None: one still to be started
        self._idle: queue.LifoQueue[Child | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)
        self._turns = Turns(size)

    def start(self) -> None:
        """Start every child that is not running, without waiting until it is ready."""
        for slot in [self._idle.get_nowait() for _ in range(self._idle.qsize())]:
            self._idle.put(slot or self._start_child())

    def pids(self) -> list[int]:
        """Return the process ids of the idle children."""
        return [child.pid for child in list(self._idle.queue) if child]

    def ask(
        self,
        header: protocol.Header,
        data: bytes,
        *,
        timeout_s: float,
        wait_s: float,
        max_body: int,
        tenant: str = "",
        keep: bool = False,
    ) -> tuple[protocol.Header, bytes]:
        """Lend a child to one request; raise ChildFailed, or NoChild if none is free in time.

        A tenant that holds fewer children than another goes first. `keep`: as in `Child.ask`.
        """
        slot = self._take(wait_s, tenant)
        sound = False
        try:
            slot = child = self._live_child(slot)
            reply = child.ask(header, data, timeout_s=timeout_s, max_body=max_body, keep=keep)
            # its memory may be fragmented after a refusal: the next file gets a new child
            sound = reply[0].get("error") != "memory" and not child.at_request_limit
        except ChildFailed as failure:
            _log.warning(f"{self._name}.replaced", extra={"reason": repr(failure)})
            raise
        else:
            return reply
        finally:
            self._give_back(slot, tenant, keep=sound)

    def close(self) -> None:
        """End the idle children now and the busy ones when they are given back."""
        self._closed = True
        while not self._idle.empty():
            self._kill(self._idle.get_nowait())

    def _take(self, wait_s: float, tenant: str = "") -> Child | None:
        try:
            self._turns.take(tenant, wait_s)
        except TimeoutError:
            raise NoChild(f"all {self._name} processes are busy") from None
        try:
            return self._idle.get(timeout=wait_s)
        except queue.Empty:
            self._turns.give_back(tenant)
            raise NoChild(f"the {self._name} was closed") from None

    def _live_child(self, slot: Child | None) -> Child:
        if slot and slot.is_alive():
            return slot
        self._kill(slot)
        try:
            return Child(self._program)
        except OSError as error:
            raise NoChild(f"no {self._name} process could be started: {error}") from error

    def _give_back(self, slot: Child | None, tenant: str = "", *, keep: bool) -> None:
        returned = slot if keep and not self._closed else None
        try:
            if returned is None:
                returned = self._replace(slot)
        finally:
            self._idle.put(returned)
            self._turns.give_back(tenant)

    def _replace(self, slot: Child | None) -> Child | None:
        self._kill(slot)
        return self._start_child() if slot and slot.started and not self._closed else None

    def _start_child(self) -> Child | None:
        try:
            return Child(self._program)
        except OSError as error:
            # the next request tries again and reports the failure to its client
            _log.warning(f"{self._name}.missing", extra={"reason": str(error)})
            return None

    @staticmethod
    def _kill(slot: Child | None) -> None:
        if slot:
            slot.kill()

"""Measures how long a gateway's event loop computes while somebody else waits for an answer.

What is measured is not the clock but the time that the thread of the loop computes between the
arrival of a probe and its answer: a busy machine makes the one longer, only our code the other. As
busy neighbours slow down computing too, it is compared with work of a known size at the same time.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.harness import Process

#: Computing at one stretch, in units of `measure_work_s`: a tenth of a second on a quiet core of
#: 2020, where a unit takes about five thousandths.
MOST_UNITS = 20

#: A text of 250 KB with 10,000 members.
_WORK = json.dumps({f"member {number:05d}": number for number in range(10_000)}).encode()

#: So often something is done whose probes had to wait.
_TRIES = 3

#: Probes on one connection, which ends after a thousand requests.
_PROBES = 500

#: A loop that waits instead of computing is noticed too, if only after seconds.
_SILENT_S = 60.0


def measure_work_s() -> float:
    """Return the seconds that a piece of work computes now, of the kinds that bodies cause."""
    began = time.thread_time()
    value = json.loads(_WORK)
    json.dumps(value)
    for _ in range(8):
        bytes(bytearray(_WORK)).translate(None, b"x")
    return time.thread_time() - began


def skip_without_figures() -> None:
    """Skip the tests where a machine does not tell what a thread has computed."""
    if not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/schedstat").exists():
        pytest.skip("this machine does not tell what a thread computes")


@dataclass
class EventLoop:
    """The gateway under test, and how long its event loop lets a probe wait."""

    http: httpx.Client
    gateway: Process
    #: The longest computing before an answer to a probe, seconds, for each thing that was done.
    seconds: dict[str, float] = field(default_factory=dict)

    def send(self, name: str, path: str, kind: str, body: bytes, **headers: str) -> httpx.Response:
        """Send a body while probes are sent, and check that none of them had to wait."""
        headers = {"Content-Type": kind, **headers}
        answer: httpx.Response = self.watch(
            f"{path} {name}", lambda: self.http.post(path, content=body, headers=headers)
        )
        return answer

    def watch(self, name: str, act: Callable[[], Any], most_units: float = MOST_UNITS) -> Any:
        """Return what `act` returns, and check that no probe had to wait meanwhile.

        What our code does to them it does again: a neighbour's moment is met once.
        """
        for _ in range(_TRIES):
            unit = self._unit_s()
            result, longest = self._watch_once(act)
            unit = max(unit, self._unit_s())
            if longest < most_units * unit:
                break
        self.seconds[name] = longest
        assert longest < most_units * unit, f"others waited {longest:.3f} s, a unit is {unit:.4f} s"
        return result

    def report(self) -> None:
        """Print what took longest."""
        for name, seconds in sorted(self.seconds.items(), key=lambda item: -item[1])[:20]:
            print(f"{1000 * seconds:7.1f} ms  {name}")

    def _watch_once(self, act: Callable[[], Any]) -> tuple[Any, float]:
        """Return the result, and the longest computing before the answer to a probe, seconds."""
        results: list[Any] = []
        actor = threading.Thread(target=lambda: results.append(act()))
        longest = 0.0
        with self._probe() as probe:
            self._computing_s(probe)
        actor.start()
        try:
            while actor.is_alive():
                with self._probe() as probe:
                    for _ in range(_PROBES):
                        longest = max(longest, self._computing_s(probe))
                        if not actor.is_alive():
                            break
        finally:
            actor.join()
        return results[0], longest

    @staticmethod
    def _unit_s() -> float:
        """Return what a unit of work takes now, at its usual and not its luckiest speed."""
        return sorted(measure_work_s() for _ in range(5))[2]

    def _probe(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.http.base_url.port), _SILENT_S)

    def _computing_s(self, probe: socket.socket) -> float:
        before = self._computed_s()
        probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = b""
        while not answer.endswith(b'{"status":"ok"}\n'):
            received = probe.recv(4096)
            assert received, answer
            answer += received
        return self._computed_s() - before

    def _computed_s(self) -> float:
        """Return the seconds that the event loop's thread has computed so far."""
        pid = re.findall(r'"pid": ?(\d+)', self.gateway.logs())[-1]
        fields = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()
        return int(fields[0]) / 1e9

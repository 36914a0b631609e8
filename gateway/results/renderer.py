"""Renders results without keeping the event loop: large ones in a process of their own.

Only locks and processes of the standard library are used, so that everything waits cooperatively
once gevent has patched them.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.large_input import give_way
from gateway.results import frames
from gateway.results.child import CPU_S
from gateway.results.contents.blocks import DoesNotFit
from gateway.results.forms import ResultForm
from gateway.results.frames import RenderOrder
from gateway.results.render import render
from gateway.results.scans.frames import ScanOrder, scan_parts
from shared.errors import Unavailable

_log = logging.getLogger(__name__)

_RENDERING, _SCANS = "gateway.results.child", "gateway.results.scans.child"
_ENVIRONMENT = {
    "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    "LC_ALL": "C.UTF-8",
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
#: Characters that are rendered within a few milliseconds.
_SMALL_CHARS = 20_000
#: Forms whose libraries need no loading.
_LIGHT = (ResultForm.HTML, ResultForm.CSV)
#: Bytes that are written to a child at once.
_SLICE = 1 << 20
#: Children at once in one gateway process, and for how long a request waits for one.
_CHILDREN, _WAIT_S = 2, 30.0
_TIMEOUT_S = 2.0 * CPU_S


class Renderer:
    """Renders results; belongs to one gateway process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        #: Tenants whose result is being rendered in a child; each has one at a time.
        self._tenants: set[str] = set()

    def render(self, order: RenderOrder, tenant: str) -> bytes:
        """Return the file; raises DoesNotFit, and Unavailable where too many wait."""
        if order.form in _LIGHT and _count_chars(order) <= _SMALL_CHARS:
            return render(order.form, order.output, order.title, order.language)
        with self._turn(tenant):
            return _body_of(_run_child(_RENDERING, frames.order_parts(order)))

    def render_scan(self, order: ScanOrder, tenant: str) -> bytes:
        """Return the file; raises DoesNotFit, Unavailable, and what its pictures raise."""
        with self._turn(tenant):
            return _body_of(_run_child(_SCANS, scan_parts(order)))

    @contextmanager
    def _turn(self, tenant: str) -> Iterator[None]:
        with self._changed:
            is_free = self._changed.wait_for(
                lambda: tenant not in self._tenants and len(self._tenants) < _CHILDREN, _WAIT_S
            )
            if not is_free:
                raise Unavailable("Too many results are being rendered.", retry_after_s=10)
            self._tenants.add(tenant)
        try:
            yield
        finally:
            with self._changed:
                self._tenants.discard(tenant)
                self._changed.notify_all()


def _body_of(reply: bytes) -> bytes:
    try:
        refusal, body = frames.split_reply(reply)
    except ValueError:
        raise DoesNotFit(f"It takes more than {CPU_S} seconds or too much memory.") from None
    if refusal is not None:
        raise DoesNotFit(refusal)
    return body


def _run_child(program: str, parts: Iterable[bytes]) -> bytes:
    """Return what a child wrote about an order, which is nothing where it was killed."""
    process = _start(program)
    try:
        for part in parts:
            _write(process, part)
            give_way()
        with _killed_in_time(process):
            reply, errors = process.communicate()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.returncode:
        tail = errors[-500:].decode("utf-8", "replace")
        _log.warning("result.child_failed", extra={"status": process.returncode, "cause": tail})
        return b""
    return reply


def _start(program: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            (sys.executable, "-P", "-m", program),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable("No process could be started to render it.") from error


def _write(process: subprocess.Popen[bytes], part: bytes) -> None:
    """Write a part; a child that has ended takes none, and says why in the end."""
    if process.stdin is None:
        return
    view = memoryview(part)
    with _killed_in_time(process), suppress(BrokenPipeError):
        for begin in range(0, len(part), _SLICE):
            process.stdin.write(view[begin : begin + _SLICE])


@contextmanager
def _killed_in_time(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill a child that neither reads nor ends within its time."""
    timer = threading.Timer(_TIMEOUT_S, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _count_chars(order: RenderOrder) -> int:
    pages = order.output.get("pages")
    if not pages:
        return len(order.output["text"])
    return sum(len(page.get("text") or "") for page in pages)

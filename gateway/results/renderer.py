"""Renders results without keeping the event loop: large ones in a process of their own.

Only locks and processes of the standard library are used, so that everything waits cooperatively
once gevent has patched them.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.large_input import give_way
from gateway.results import frames
from gateway.results.child import CPU_S
from gateway.results.contents.blocks import DoesNotFit
from gateway.results.forms import ResultForm
from gateway.results.frames import RenderOrder
from gateway.results.render import render
from shared.errors import Unavailable

_log = logging.getLogger(__name__)

_COMMAND = (sys.executable, "-P", "-m", "gateway.results.child")
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
        data = _join(order)
        with self._turn(tenant):
            reply = self._run_child(data)
        try:
            refusal, body = frames.split_reply(reply)
        except ValueError:
            raise DoesNotFit(f"It takes more than {CPU_S} seconds or too much memory.") from None
        if refusal is not None:
            raise DoesNotFit(refusal)
        return body

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

    @staticmethod
    def _run_child(data: bytes) -> bytes:
        """Return what the child wrote, which is nothing where it was killed."""
        try:
            ended = subprocess.run(
                _COMMAND,
                input=data,
                capture_output=True,
                env=_ENVIRONMENT,
                cwd="/",
                timeout=_TIMEOUT_S,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return b""
        except OSError as error:
            raise Unavailable("No process could be started to render it.") from error
        if ended.returncode:
            tail = ended.stderr[-500:].decode("utf-8", "replace")
            _log.warning("result.child_failed", extra={"status": ended.returncode, "cause": tail})
            return b""
        return ended.stdout


def _count_chars(order: RenderOrder) -> int:
    pages = order.output.get("pages")
    if not pages:
        return len(order.output["text"])
    return sum(len(page.get("text") or "") for page in pages)


def _join(order: RenderOrder) -> bytes:
    data = bytearray()
    for part in frames.order_parts(order):
        data += part
        give_way()
    return bytes(data)

"""Lines that say every few seconds what a process is doing while it starts, and how far it is.

Imports nothing that is not in Python: the kernels are compiled where no package is installed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)

#: The event of such a line, and the seconds between two.
STEP_EVENT = "start.step"
_EVERY_S = 2.0


@contextmanager
def long_step(what: str, how_far: Callable[[], str] | None = None) -> Iterator[None]:
    """Log `what` is being done, at once and then every two seconds until the block ends.

    `how_far` says what is done of it, such as `42 %`; it is called in another thread.
    """
    ended = threading.Event()
    _log.info(STEP_EVENT, extra={"step": what})
    watch = threading.Thread(
        target=_repeat, args=(what, how_far, ended), name="start-step", daemon=True
    )
    watch.start()
    try:
        yield
    finally:
        ended.set()


def _repeat(what: str, how_far: Callable[[], str] | None, ended: threading.Event) -> None:
    began_s = time.monotonic()
    while not ended.wait(_EVERY_S):
        done = how_far() if how_far else None
        seconds = round(time.monotonic() - began_s)
        _log.info(STEP_EVENT, extra={"step": what, "done": done, "seconds": seconds})

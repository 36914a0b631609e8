"""Lines that say every few seconds what a process is doing while it starts, and how far it is.

Imports nothing that is not in Python: the kernels are compiled where no package is installed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

_log = logging.getLogger(__name__)

#: The event of such a line, and the seconds between two.
STEP_EVENT = "start.step"
_EVERY_S = 2.0

#: What a step is, for who words it in other languages.
StepKind = Literal["download", "load", "prepare"]


@dataclass(frozen=True, slots=True)
class HowFar:
    """The part of a step that is done, from 0 to 1, and the seconds that the rest takes."""

    share: float
    left_s: float | None = None

    @property
    def percent(self) -> int:
        """Whole percent; 100 only of what is done."""
        return int(100 * min(1.0, max(0.0, self.share)))

    def __str__(self) -> str:
        """Return it for people, such as `43 %, 3 min left`."""
        left = "" if self.left_s is None else f", {_round(self.left_s)} left"
        return f"{self.percent} %{left}"


@dataclass(frozen=True, slots=True)
class LongStep:
    """What a process is doing now."""

    what: str
    kind: StepKind
    how_far: Callable[[], HowFar | None] | None


#: The steps under way, the innermost last.
_under_way: list[LongStep] = []


def current_step() -> LongStep | None:
    """Return what this process is doing now; None outside of any step."""
    return _under_way[-1] if _under_way else None


@contextmanager
def long_step(
    what: str, how_far: Callable[[], HowFar | None] | None = None, *, kind: StepKind = "prepare"
) -> Iterator[None]:
    """Log `what` is being done, at once and then every two seconds until the block ends.

    `how_far` says what is done of it; it is called in other threads.
    """
    ended = threading.Event()
    step = LongStep(what, kind, how_far)
    _log.info(STEP_EVENT, extra={"step": what})
    watch = threading.Thread(target=_repeat, args=(step, ended), name="start-step", daemon=True)
    watch.start()
    _under_way.append(step)
    try:
        yield
    finally:
        _under_way.remove(step)
        ended.set()


def _repeat(step: LongStep, ended: threading.Event) -> None:
    began_s = time.monotonic()
    while not ended.wait(_EVERY_S):
        done = step.how_far() if step.how_far else None
        seconds = round(time.monotonic() - began_s)
        _log.info(
            STEP_EVENT,
            extra={"step": step.what, "done": str(done) if done else None, "seconds": seconds},
        )


def _round(seconds: float) -> str:
    """Return a time in its largest unit."""
    for unit, of_s in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * of_s:
            return f"{seconds / of_s:.0f} {unit}"
    return f"{max(1, round(seconds))} s"

"""A reading in progress, as the job that waits for it sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.reader.page import ReadPage

#: Seconds between two looks at whether a reading must stop.
_POLL_S = 0.05


class ReadingStopped(Exception):
    """The reading was stopped before its end."""


@dataclass(slots=True)
class Reading:
    """One image that is being read in the reader's threads."""

    _done: threading.Event = field(default_factory=threading.Event)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _page: ReadPage = field(default_factory=ReadPage)
    _error: BaseException | None = None
    #: Seconds from its start to its end.
    seconds: float = 0.0

    def stop(self) -> None:
        """End it within one line; safe from any thread."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Tell whether it is to end."""
        return self._stopped.is_set()

    @property
    def text(self) -> str | None:
        """Return what was read; None before its end, and where it failed."""
        return self._page.text if self._done.is_set() and self._error is None else None

    def result(self, check: Callable[[], None] = lambda: None) -> ReadPage:
        """Return what was read.

        `check` is called while it goes on; whatever it raises stops the reading. Raises
        ReadingStopped, and what went wrong in the reading.
        """
        try:
            while not self._done.wait(_POLL_S):
                check()
        except BaseException:
            self.stop()
            raise
        if self._error is not None:
            raise self._error
        return self._page

    def end(self, outcome: ReadPage | BaseException, seconds: float) -> None:
        """Note its end; called by the reader only."""
        if isinstance(outcome, ReadPage):
            self._page = outcome
        else:
            self._error = outcome
        self.seconds = seconds
        self._done.set()

"""How far a download is, and how long it will still take at the pace of the last minute."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from shared.long_steps import HowFar

_PACE_OF_S = 60.0


class DownloadProgress:
    """Measures bytes that grow; called every few seconds."""

    def __init__(self, measure: Callable[[], tuple[int, int]]) -> None:
        """`measure` returns how many bytes are there, and of how many."""
        self._measure = measure
        self._seen: deque[tuple[float, int]] = deque()

    def look(self) -> HowFar | None:
        """Return how far it is now; None while nothing is known."""
        there, whole = self._measure()
        if not whole:
            return None
        now_s = time.monotonic()
        self._seen.append((now_s, there))
        while now_s - self._seen[0][0] > _PACE_OF_S:
            self._seen.popleft()
        began_s, began = self._seen[0]
        grown, passed_s = there - began, now_s - began_s
        left_s = (whole - there) * passed_s / grown if grown > 0 and passed_s > 0 else None
        return HowFar(there / whole, left_s)

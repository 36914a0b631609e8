"""Measures how many seconds a pass of the language model takes, by its rows."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Sizes in one group double from group to group: 1, 2, 3-4, 5-8 and so on.
_GROUPS = 16
#: Weight of the newest measurement where it is less than those before, and where it is more:
#: whatever else runs on the machine makes passes longer and never shorter.
_FASTER, _SLOWER = 0.5, 0.05
#: The most that a measurement counts beside those before.
_STALL = 2.0
#: Passes for which a measurement is believed. After that a group may be tried again: it may have
#: been measured while the machine was busy with something else.
_BELIEVED = 100
#: A row costs this share of a pass of one row, until it is measured, and at least this one.
_ROW_SHARE, _LEAST_SHARE = 1 / 20, 1 / 40


class PassSeconds:
    """Used by the engine's thread only."""

    def __init__(self) -> None:
        """Nothing is measured at first: then only relations are known, not seconds."""
        self._rows = np.zeros(_GROUPS)
        self._seconds = np.zeros(_GROUPS)
        self._measured = np.full(_GROUPS, -_BELIEVED)
        self._passes = 0

    def add(self, rows: int, seconds: float) -> None:
        """Count a pass of so many rows."""
        self._passes += 1
        group = min((rows - 1).bit_length(), _GROUPS - 1)
        if self._passes - self._measured[group] >= _BELIEVED:
            self._rows[group], self._seconds[group] = rows, seconds
        seconds = min(seconds, _STALL * self._seconds[group])
        weight = _FASTER if seconds < self._seconds[group] else _SLOWER
        self._rows[group] += weight * (rows - self._rows[group])
        self._seconds[group] += weight * (seconds - self._seconds[group])
        self._measured[group] = self._passes

    def at(self, rows: int) -> float:
        """Return the seconds of a pass: measured ones, and assumed ones where there are none."""
        known = self._passes - self._measured < _BELIEVED
        if not known.any():
            return float(_assumed(rows))
        sizes, seconds = self._rows[known], self._seconds[known]
        least = _assumed(sizes, _LEAST_SHARE) / _assumed(sizes[0], _LEAST_SHARE) * seconds[0]
        seconds = np.maximum.accumulate(np.maximum(seconds, least))
        if rows < sizes[0]:
            return float(seconds[0] * _assumed(rows) / _assumed(sizes[0]))
        if rows > sizes[-1]:
            return float(seconds[-1] * _assumed(rows) / _assumed(sizes[-1]))
        return float(np.interp(rows, sizes, seconds))


def _assumed(rows: Any, share: float = _ROW_SHARE) -> Any:
    return 1 + (rows - 1) * share

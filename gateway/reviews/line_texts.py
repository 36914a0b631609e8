"""The texts of an answer that its lines are part of, in which a line is found and replaced."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Hashable, Iterable

#: Letters of a line that is looked for within longer lines as well.
_FEW = 3


class EqualLines:
    """Which lines of an answer say the same, in each text that they are part of."""

    def __init__(self, lines: Iterable[tuple[Hashable, str]]) -> None:
        """`lines` are the places and texts of all lines, in order."""
        self._numbers: dict[tuple[Hashable, str], list[int]] = defaultdict(list)
        for number, (home, text) in enumerate(lines):
            self._numbers[home, text.strip()].append(number)

    def place(self, number: int, home: Hashable, text: str) -> tuple[int, int]:
        """Return which a line is, from 0, of how many that say the same there."""
        numbers = self._numbers[home, text.strip()]
        return numbers.index(number), len(numbers)

    def change(self, number: int, home: Hashable, old: str, new: str) -> None:
        """Note that a line says something else."""
        self._numbers[home, old.strip()].remove(number)
        bisect.insort(self._numbers[home, new.strip()], number)


class LineText:
    """A text by its lines."""

    def __init__(self, text: str) -> None:
        self._rows = text.split("\n")
        self._places: dict[str, list[int]] = defaultdict(list)
        for at, row in enumerate(self._rows):
            self._places[row.strip()].append(at)

    def __str__(self) -> str:
        return "\n".join(self._rows)

    def replace(self, old: str, new: str, number: int, count: int) -> bool:
        """Replace a line, which is such a number, from 0, of so many that say the same.

        Returns whether it was found: rules may have changed it, and a header that stands on each
        page is in the whole text once.
        """
        old = old.strip()
        places = self._places.get(old, [])
        if len(places) == count:
            self._set(places[number], old, new)
            return True
        return not places and count == 1 and self._replace_within(old, new)

    def _replace_within(self, old: str, new: str) -> bool:
        if len(old) < _FEW:
            return False
        within = [at for at, row in enumerate(self._rows) if old in row]
        if len(within) != 1 or self._rows[within[0]].count(old) != 1:
            return False
        self._set(within[0], old, new)
        return True

    def _set(self, at: int, old: str, new: str) -> None:
        row = self._rows[at]
        self._places[row.strip()].remove(at)
        # what stands beside it stays
        self._rows[at] = row.replace(old, new, 1) if old else new
        bisect.insort(self._places[self._rows[at].strip()], at)

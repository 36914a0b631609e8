"""Tells an answer that repeats itself for ever from tables, rows of dashes and long receipts."""

from __future__ import annotations

import re

#: Characters that must recur before a period is looked for.
_PROBE = 24
#: Longest unit whose repetition is noticed, in characters.
_LONGEST = 1200
#: Characters that are remembered: some repetitions of the longest unit.
_MEMORY = 8192
#: A unit must occur this often in a row.
_REPEATS = 5
#: UTF-8 bytes that a repetition must have: of words in one line; of whole lines and of cells, as
#: in a table of zeros; and of signs only, as in rules and leaders, which forms are full of.
_WORDS_BYTES, _LINES_BYTES, _SIGNS_BYTES = 240, 720, 720
#: Tables, forms and records repeat rightly: as many equal rows, or as many characters of them,
#: as hardly any page has.
_ROWS, _ROWS_CHARACTERS = 100, 8000
#: What rows and records are made of; and what stands in sentences beside letters.
_CELLS, _SENTENCE = frozenset("|<{["), frozenset(" \n.,;!?'\"()-–—’“”。，、；！？（）")
#: From here on a repetition is not shown before it ends.
_SUSPECT_REPEATS, _SUSPECT_BYTES = 3, 48
#: Tokens in a row that may bring no text; a character needs four at most.
_SILENT_TOKENS = 64

_TAG = re.compile(r"<[^<>]*>")


class Repetition:
    """The repetition at the end of a growing text."""

    def __init__(self) -> None:
        self._recent = ""
        #: Characters before the recent ones.
        self._dropped = 0
        #: Length of the unit, 0 while nothing repeats; characters at the end equal to those one
        #: unit before them.
        self._period = 0
        self._equal = 0
        self._silent = 0

    def feed(self, text: str) -> None:
        """Append the text of one token."""
        self._silent = 0 if text else self._silent + 1
        for character in text:
            self._recent += character
            if self._period and self._recent[-1] == self._recent[-1 - self._period]:
                self._equal += 1
            else:
                self._look_for_period()
        if len(self._recent) > 2 * _MEMORY:
            self._dropped += len(self._recent) - _MEMORY
            self._recent = self._recent[-_MEMORY:]
            self._equal = min(self._equal, len(self._recent) - self._period)

    @property
    def suspect_from(self) -> int | None:
        """Return the length of the text before the second unit of a repetition that may be a loop.

        None while nothing is suspect.
        """
        if self._repeats < _SUSPECT_REPEATS or self._bytes < _SUSPECT_BYTES:
            return None
        return self._dropped + len(self._recent) - self._equal

    @property
    def endless(self) -> bool:
        """Tell whether the text is a loop, wherever it would end."""
        if self._silent >= _SILENT_TOKENS:
            return True
        return self.may_be_endless and (not _is_row(self._unit) or self._is_longer_than_a_page)

    @property
    def may_be_endless(self) -> bool:
        """Tell whether the text is a loop if nothing else follows before its limit."""
        return self._repeats >= _REPEATS and self._bytes >= self._needed

    @property
    def _is_longer_than_a_page(self) -> bool:
        rows = self._repeats * max(1, self._unit.count("\n"), self._unit.count("<tr"))
        return rows >= _ROWS or self._equal + self._period >= _ROWS_CHARACTERS

    @property
    def _repeats(self) -> float:
        return 1 + self._equal / self._period if self._period else 0.0

    @property
    def _bytes(self) -> float:
        return len(self._unit.encode()) * self._repeats

    @property
    def _unit(self) -> str:
        return self._recent[-self._period :] if self._period else ""

    @property
    def _needed(self) -> int:
        unit = self._unit
        if not any(map(str.isalnum, _words_of(unit))):
            return _SIGNS_BYTES
        return _LINES_BYTES if "\n" in unit or "|" in unit else _WORDS_BYTES

    def _look_for_period(self) -> None:
        """Find the nearest place where the last characters occurred before."""
        text = self._recent
        self._period = self._equal = 0
        if len(text) <= _PROBE:
            return
        oldest = max(0, len(text) - _PROBE - _LONGEST)
        before = text.rfind(text[-_PROBE:], oldest, len(text) - 1)
        if before < 0:
            return
        self._period = len(text) - _PROBE - before
        end = len(text) - 1
        while end >= self._period and text[end] == text[end - self._period]:
            end -= 1
        self._equal = len(text) - 1 - end


def _is_row(unit: str) -> bool:
    """Tell whether a unit is a row of a table, a line of a form or a record, and no sentence."""
    if _CELLS & set(unit):
        return True
    signs = set(unit) - _SENTENCE
    return "\n" in unit and bool(unit.strip()) and not (signs and all(map(str.isalpha, signs)))


def _words_of(unit: str) -> str:
    """Return a unit without markup, of which tables of empty cells consist."""
    first = max(0, unit.find("<"))
    return _TAG.sub("", unit[first:] + unit[:first])

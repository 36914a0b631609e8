"""Regular expressions that end: linear by google-re2, and bounded in pattern, text and time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

#: A pattern may have this many characters, and this many instructions once compiled.
MAX_PATTERN_CHARS = 1000
MAX_PROGRAM = 5000
#: Memory of a compiled pattern, bytes.
_MAX_MEMORY = 4 << 20
#: Longer texts are not searched; an answer of 4,096 tokens has about half of it.
MAX_TEXT_CHARS = 32_768
#: CPU seconds that all rules of one answer may take together.
BUDGET_S = 1.0

_GROUP = re.compile(r"\\(\d{1,2}|\\)")


class BadPattern(ValueError):
    """The pattern cannot be used."""


class RuleFailed(Exception):
    """A rule cannot be followed on this text; the message is the cause."""


class OverBudget(RuleFailed):
    """A rule would take more time or space than an answer is worth."""


class Budget:
    """The CPU time that one thread may still spend on an answer; a busy machine costs nothing."""

    def __init__(self, seconds: float = BUDGET_S) -> None:
        self._seconds = seconds
        self._until = time.thread_time() + seconds

    def check(self) -> None:
        """Raise OverBudget when nothing is left."""
        if time.thread_time() > self._until:
            raise OverBudget(f"more than {self._seconds:g} s of CPU time")


@dataclass(frozen=True, slots=True)
class Match:
    """One match: its place in the text, the whole and the groups that took part."""

    text: str
    start: int
    end: int
    groups: tuple[str | None, ...]

    @property
    def whole(self) -> str:
        """Return the matched text."""
        return self.text[self.start : self.end]

    @property
    def before(self) -> str:
        """Return up to two characters before the match."""
        return self.text[max(0, self.start - 2) : self.start]

    @property
    def after(self) -> str:
        """Return up to two characters after the match."""
        return self.text[self.end : self.end + 2]

    def expanded(self, template: str) -> str:
        r"""Return the template with `\1` and the like replaced by groups, `\0` by the whole."""
        parts = (self.whole, *self.groups)
        return _GROUP.sub(lambda m: "\\" if m[1] == "\\" else parts[int(m[1])] or "", template)


class Pattern:
    """A compiled pattern; threads may share it."""

    def __init__(self, source: str, compiled: Any) -> None:
        self.source = source
        self._compiled = compiled

    @property
    def groups(self) -> int:
        """Return how many groups it captures."""
        return int(self._compiled.groups)

    def found(self, text: str, budget: Budget) -> Iterator[Match]:
        """Yield the matches from left to right; raises OverBudget.

        A single match is linear in the text, but all of them can be quadratic: the budget is
        looked at between two.
        """
        check_size(text)
        budget.check()
        for match in self._compiled.finditer(text):
            budget.check()
            yield Match(text, match.start(), match.end(), match.groups())

    def replaced(self, text: str, template: str, budget: Budget) -> str:
        """Return the text with each match replaced by the template; raises OverBudget."""
        parts: list[str] = []
        end = length = 0
        for found in self.found(text, budget):
            parts += (text[end : found.start], found.expanded(template))
            length += len(parts[-2]) + len(parts[-1])
            if length > MAX_TEXT_CHARS:
                raise OverBudget(f"it produces more than {MAX_TEXT_CHARS} characters")
            end = found.end
        return "".join([*parts, text[end:]])


def check_size(text: str) -> None:
    """Raise OverBudget for a text that is too long to be searched."""
    if len(text) > MAX_TEXT_CHARS:
        raise OverBudget(f"the text has more than {MAX_TEXT_CHARS} characters")


def whole_characters(text: str) -> str:
    """Return the text without halves of surrogate pairs, which UTF-8 cannot tell."""
    return text.encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=1024)
def compiled(source: str) -> Pattern:
    """Return the pattern in RE2's syntax; raises BadPattern, which tells why it is refused."""
    if len(source) > MAX_PATTERN_CHARS:
        raise BadPattern(f"longer than {MAX_PATTERN_CHARS} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        pattern = re2.compile(source, options)
    except UnicodeEncodeError:
        raise BadPattern("it contains an unpaired surrogate") from None
    except re2.error as error:
        cause = error.args[0]
        raise BadPattern(cause.decode() if isinstance(cause, bytes) else str(cause)) from None
    if pattern.programsize > MAX_PROGRAM:
        raise BadPattern(f"compiles to {pattern.programsize} steps; the limit is {MAX_PROGRAM}")
    return Pattern(source, pattern)


def check_template(template: str, pattern: Pattern) -> None:
    """Raise BadPattern when a replacement names a group that the pattern lacks."""
    for number in _GROUP.findall(template):
        if number != "\\" and int(number) > pattern.groups:
            raise BadPattern(
                f"replacement refers to group {int(number)}, but the pattern has {pattern.groups}"
            )

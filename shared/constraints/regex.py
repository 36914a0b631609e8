"""Regular expressions of operators and callers: linear by google-re2, bounded in size and time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

#: Most characters of a pattern, and most instructions of it once compiled.
MAX_PATTERN_CHARS = 1000
MAX_PROGRAM = 5000
#: Memory of a compiled pattern, bytes.
_MAX_MEMORY = 4 << 20
#: Longer texts are not searched; an answer of 4,096 tokens has about half as many characters.
MAX_TEXT_CHARS = 32_768
#: CPU seconds for all rules of one answer.
BUDGET_S = 1.0

_GROUP = re.compile(r"\\(\d{1,2}|\\)")


class BadPattern(ValueError):
    """The pattern cannot be used."""


class RuleFailed(Exception):
    """A rule cannot be applied to this text; the message is the cause."""


class OverBudget(RuleFailed):
    """A rule takes more than its budget of time or space."""


class Budget:
    """The CPU time that a thread may still spend on an answer; waiting for a busy CPU is free."""

    def __init__(self, seconds: float = BUDGET_S) -> None:
        self._seconds = seconds
        self._until = time.thread_time() + seconds

    def check(self) -> None:
        """Raise OverBudget if it is used up."""
        if time.thread_time() > self._until:
            raise OverBudget(f"more than {self._seconds:g} s of CPU time")


@dataclass(frozen=True, slots=True)
class Match:
    """One match of a pattern in `text`, from `start` to `end`, with its groups."""

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

    def expand(self, template: str) -> str:
        r"""Return the template with `\1` and the like replaced by groups, `\0` by the match."""
        parts = (self.whole, *self.groups)
        return _GROUP.sub(lambda m: "\\" if m[1] == "\\" else parts[int(m[1])] or "", template)


class Pattern:
    """A compiled pattern; threads may share it."""

    def __init__(self, source: str, compiled: Any) -> None:
        self.source = source
        self._compiled = compiled

    @property
    def groups(self) -> int:
        """Return the number of its groups."""
        return int(self._compiled.groups)

    def find_matches(self, text: str, budget: Budget) -> Iterator[Match]:
        """Yield the matches from left to right; raises OverBudget.

        One match takes linear time, but all of them can take quadratic time: the budget is checked
        between any two.
        """
        check_size(text)
        budget.check()
        for match in self._compiled.finditer(text):
            budget.check()
            yield Match(text, match.start(), match.end(), match.groups())

    def replace(self, text: str, template: str, budget: Budget) -> str:
        """Return the text with each match replaced by the template; raises OverBudget."""
        parts: list[str] = []
        end = length = 0
        for match in self.find_matches(text, budget):
            parts += (text[end : match.start], match.expand(template))
            length += len(parts[-2]) + len(parts[-1])
            if length > MAX_TEXT_CHARS:
                raise OverBudget(f"it produces more than {MAX_TEXT_CHARS} characters")
            end = match.end
        return "".join([*parts, text[end:]])


def check_size(text: str) -> None:
    """Raise OverBudget if a text is too long to be searched."""
    if len(text) > MAX_TEXT_CHARS:
        raise OverBudget(f"the text has more than {MAX_TEXT_CHARS} characters")


def replace_lone_surrogates(text: str) -> str:
    """Return the text with `?` for each lone surrogate, which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=1024)
def compile_pattern(source: str) -> Pattern:
    """Compile a pattern in RE2's syntax; raises BadPattern with the cause."""
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
    """Raise BadPattern if a replacement names a group that the pattern lacks."""
    for number in _GROUP.findall(template):
        if number != "\\" and int(number) > pattern.groups:
            raise BadPattern(
                f"replacement refers to group {int(number)}, but the pattern has {pattern.groups}"
            )

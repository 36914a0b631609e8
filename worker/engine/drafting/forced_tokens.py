"""Guesses the tokens that a constraint leaves no choice about."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class ForcedTokens:
    """A DraftSource over a constraint, which keeps its own place in the answer."""

    first_chance = 0.9
    trust = 1

    def __init__(self, read: Callable[[], Sequence[int]]) -> None:
        """`read` returns the tokens that must come next."""
        self._read = read

    def guess(self, count: int) -> Sequence[int]:
        """See DraftSource."""
        return self._read()[:count]

    def append(self, token: int) -> None:
        """See DraftSource."""

    def rewind(self, answer: Sequence[int]) -> None:
        """See DraftSource."""

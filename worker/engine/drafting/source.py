"""The protocol of what guesses how an answer goes on; a wrong guess costs time and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class DraftSource(Protocol):
    """Follows one answer as it grows, and guesses its next tokens; used by one thread."""

    #: Chance of a first guess to be right, before any was tried.
    first_chance: float

    @property
    def trust(self) -> int:
        """Return 0 where the next guess is a new start, 1 where the latest one was right.

        The chances of both are learned apart.
        """

    def guess(self, count: int) -> Sequence[int]:
        """Return up to `count` tokens that may come next; none where nothing is known."""

    def append(self, token: int) -> None:
        """Take the token that came, whatever was guessed."""

    def rewind(self, answer: Sequence[int]) -> None:
        """Go back to an answer of these tokens: later ones were removed."""

"""Drafts of an engine without weights: words of the references, in place of tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from zlib import crc32

from worker.engine.api import Reference
from worker.engine.drafting.reference_text import ReferenceText

#: Words that a step may guess.
_MOST = 8
_WORD = re.compile(r"\s?\S+")


class WordDrafts:
    """Guesses the pieces of one answer, and counts them."""

    def __init__(self, references: Sequence[Reference]) -> None:
        """Follow the first text; ids mean nothing here."""
        text = next((text for text in references if isinstance(text, str)), "")
        self._source = ReferenceText(_numbers(_WORD.findall(text)))
        #: Pieces that were guessed, and those of them that were right.
        self.guessed = self.agreed = 0

    def check(self, pieces: Sequence[str]) -> int:
        """Return how many of the next pieces are guessed; one more is then taken as written."""
        coming = _numbers(pieces)
        guess = list(self._source.guess(min(_MOST, len(coming) - 1)))
        agreed = next(
            (n for n, pair in enumerate(zip(guess, coming, strict=False)) if pair[0] != pair[1]),
            None,
        )
        agreed = len(guess) if agreed is None else agreed
        for number in coming[: agreed + 1]:
            self._source.append(number)
        self.guessed += len(guess)
        self.agreed += agreed
        return agreed


def _numbers(words: Sequence[str]) -> list[int]:
    return [crc32(word.encode()) for word in words]

"""Drafts the next tokens of one answer from all its sources, and learns how often each is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, repeat
from queue import SimpleQueue

from worker.engine.drafting.source import DraftSource

#: Weight that older guesses keep with each new one, and the guesses that the first chance is worth.
_KEEP, _PRIOR_GUESSES = 0.97, 1.0
#: No guess is certain, and none is hopeless.
_LEAST, _MOST = 0.001, 0.995
NO_SOURCES: tuple[DraftSource, ...] = ()


@dataclass(slots=True)
class _Chance:
    """How often the guesses of one kind were right."""

    prior: float
    right: float = 0.0
    guesses: float = 0.0

    def add(self, *, right: bool) -> None:
        self.right = self.right * _KEEP + right
        self.guesses = self.guesses * _KEEP + 1

    @property
    def value(self) -> float:
        share = (self.right + self.prior * _PRIOR_GUESSES) / (self.guesses + _PRIOR_GUESSES)
        return min(_MOST, max(_LEAST, share))


@dataclass(slots=True)
class _Learner:
    """A source, and the chance of its next guess by how far it is trusted."""

    source: DraftSource
    chances: list[_Chance] = field(init=False)

    def __post_init__(self) -> None:
        self.chances = [_Chance(self.source.first_chance) for _ in range(2)]

    @property
    def first_chance(self) -> float:
        """The chance of the next guess; 0 without one."""
        return self.chances[self.source.trust].value if self.source.guess(1) else 0.0

    def append(self, token: int) -> None:
        guessed = list(self.source.guess(1))
        if guessed:
            self.chances[self.source.trust].add(right=guessed == [token])
        self.source.append(token)


@dataclass(frozen=True, slots=True)
class Draft:
    """Guessed tokens, and of each the chance that it and all before it are right."""

    tokens: Sequence[int] = ()
    chances: Sequence[float] = ()


class Drafter:
    """Used by the engine's thread only.

    Every guess is compared with the token that came, whether or not the model was asked about it,
    so that a source which begins to be right is noticed and one that is wrong costs nothing.
    """

    def __init__(self, sources: Sequence[DraftSource] = NO_SOURCES) -> None:
        """Of sources that are equally good the first is taken."""
        self._learners = [_Learner(source) for source in sources]
        self._offered: SimpleQueue[DraftSource] = SimpleQueue()
        self._answer: list[int] = []

    def offer(self, source: DraftSource) -> None:
        """Add a source while the answer is written; safe from any thread."""
        self._offered.put(source)

    def append(self, token: int) -> None:
        """Take the answer's next token."""
        self._answer.append(token)
        for learner in self._learners:
            learner.append(token)

    def rewind(self, answer: Sequence[int]) -> None:
        """Go back to an answer of these tokens."""
        self._answer = list(answer)
        for learner in self._learners:
            learner.source.rewind(answer)

    def draft(self, count: int) -> Draft:
        """Return up to `count` guesses of the source that is most likely right."""
        self._take_offered()
        best = max(self._learners, key=lambda learner: learner.first_chance, default=None)
        if best is None or count < 1:
            return Draft()
        tokens = list(best.source.guess(count))
        each = chain([best.first_chance], repeat(best.chances[1].value, len(tokens)))
        return Draft(tokens, list(accumulate(each, lambda a, b: a * b))[: len(tokens)])

    def _take_offered(self) -> None:
        while not self._offered.empty():
            source = self._offered.get()
            source.rewind(self._answer)
            self._learners.append(_Learner(source))

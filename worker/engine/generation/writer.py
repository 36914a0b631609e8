"""An answer while it is written: its tokens, how sure the model was, its text, where it ends."""

from __future__ import annotations

import math

import torch

from shared.jobs import FinishReason, GenerationParams, Notice, TextLine
from worker.engine.generation import confidence
from worker.engine.generation.constraint import Constraint
from worker.engine.generation.detokenizer import TextStream
from worker.engine.generation.notices import repeated, unfinished
from worker.engine.generation.repetition import Repetition
from worker.engine.generation.sampler import Sampler

#: How an answer that repeated itself is written on.
_OTHER_SAMPLING = {"do_sample": True, "temperature": 0.8, "top_p": 0.95}


class Writer:
    """Chooses and takes tokens one by one; knows no keys, values or tickets."""

    def __init__(
        self,
        params: GenerationParams,
        text: TextStream,
        *,
        limit: int,
        end_tokens: frozenset[int],
        constraint: Constraint | None = None,
    ) -> None:
        """Write at most `limit` tokens."""
        self.limit = limit
        self.tokens: list[int] = []
        #: Tokens that were ever taken, those of a repetition included.
        self.taken = 0
        self.text = text
        self._params = params
        self._end_tokens = end_tokens
        self._constraint = constraint
        self._sampler = Sampler(params)
        self._least = math.log(params.uncertain_below) if params.uncertain_below else -math.inf
        #: Of each token: the text that it added, and the logarithm of its probability.
        self._pieces: list[tuple[str, float]] = []
        #: Sum of the logarithms of tokens whose character is not whole yet.
        self._open = 0.0
        self._repetition = Repetition()
        self._retried_at: int | None = None
        #: The token that led into a repetition, while it may not be chosen.
        self._barred: int | None = None
        self._looped = False

    def choose(self, logits: torch.Tensor) -> tuple[int, float]:
        """Return a token for (vocab,) logits and the logarithm of its probability."""
        if self._constraint is not None:
            logits = self._constraint.hold(logits)
        told = logits
        if self._barred is not None:
            others = logits.index_fill(0, torch.tensor([self._barred]), -torch.inf)
            # a constraint may leave no other way
            logits = others if bool(others.isfinite().any()) else logits
            self._barred = None
        token = self._sampler.pick(logits)
        return token, confidence.log_probability(told, token)

    def take(self, token: int, log: float) -> tuple[str, FinishReason | None]:
        """Append a token; return the text that may be shown, and why the answer ends if it does."""
        if token in self._end_tokens:
            return "", FinishReason.STOP
        if self._constraint is not None:
            self._constraint.accept(token)
        self.tokens.append(token)
        self.taken += 1
        piece = self.text.decode(token)
        self._pieces.append((piece, log))
        self._open += log
        sure = self._open >= self._least
        if piece:
            self._open = 0.0
        self._repetition.feed(piece)
        guarded = self._params.loop_guard
        hold_from = self._repetition.suspect_from if guarded else None
        shown = self.text.push(piece, sure=sure, hold_from=hold_from)
        if guarded and self._repetition.endless and not self.text.stopped:
            return shown, self._leave_loop()
        return shown, self._end()

    def notices(self) -> list[Notice]:
        """Return what the caller should know of the way that the answer came about."""
        told = []
        if self._retried_at is not None:
            told.append(repeated(self._retried_at, again=self._looped))
        if self._constraint is not None and not self._constraint.satisfied:
            told.append(unfinished(self._params))
        return told

    def confidence(self) -> float | None:
        """Return the geometric mean of the tokens' probabilities."""
        return confidence.confidence(log for _, log in self._pieces)

    def lines(self) -> tuple[TextLine, ...] | None:
        """Return the confidence of each line, if it was asked for."""
        if not self._params.line_confidence:
            return None
        return confidence.lines(self.text.shown, self._pieces)

    def _end(self) -> FinishReason | None:
        if self.text.stopped or (self._constraint is not None and self._constraint.complete):
            return FinishReason.STOP
        return FinishReason.LENGTH if len(self.tokens) >= self.limit else None

    def _leave_loop(self) -> FinishReason | None:
        """Take back what repeats; the second time the answer ends there."""
        kept, length = self._sound_part()
        barred = self.tokens[kept]
        del self.tokens[kept:], self._pieces[kept:]
        self.text.rewind(self.tokens, length)
        self._open = 0.0
        if self._retried_at is not None:
            self._looped = True
            return FinishReason.LOOP
        self._retried_at, self._barred = length, barred
        self._sampler = Sampler(self._params.model_copy(update=self._other_sampling()))
        if self._constraint is not None:
            self._constraint.rewind(self.tokens)
        self._repetition = Repetition()
        for piece, _ in self._pieces:
            self._repetition.feed(piece)
        return None

    def _sound_part(self) -> tuple[int, int]:
        """Return how many tokens come before the second unit, and the length of their text.

        What was shown stays, and so does the first token.
        """
        wanted = self._repetition.suspect_from
        length = 0
        for kept, (piece, _) in enumerate(self._pieces[:-1], start=1):
            length += len(piece)
            if piece and wanted is not None and length >= max(wanted, self.text.taken):
                return kept, length
            if wanted is None and length >= self.text.taken and self._silent_from(kept):
                return kept, length
        return len(self.tokens) - 1, length

    def _silent_from(self, kept: int) -> bool:
        return not any(piece for piece, _ in self._pieces[kept:])

    def _other_sampling(self) -> dict[str, object]:
        # a seed of its own, so that the same request is written on in the same way
        return {**_OTHER_SAMPLING, "seed": (self._params.seed or 0) ^ 1}

"""Writes an answer token by token: samples, keeps text and confidence, decides where it ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from shared.errors import InferenceFailed
from shared.jobs import FinishReason, GenerationParams, Notice, TextLine
from worker.engine.generation import confidence
from worker.engine.generation.constraint import Constraint
from worker.engine.generation.detokenizer import TextStream
from worker.engine.generation.notices import repeated_notice, unfinished_notice
from worker.engine.generation.repetition import Repetition
from worker.engine.generation.sampler import Sampler
from worker.engine.generation.thinking import Thinking

#: How an answer that repeated itself is continued.
_RETRY_SAMPLING = {"do_sample": True, "temperature": 0.8, "top_p": 0.95}
#: The greatest of such logits would be token 0 for ever, which looks like an answer.
_NOT_FINITE = "The model computed no finite number; its weights may be damaged."


class Writer:
    """Samples and appends tokens one by one; knows no keys, values or tickets."""

    def __init__(
        self,
        params: GenerationParams,
        text: TextStream,
        *,
        limit: int,
        end_tokens: frozenset[int],
        constraint: Constraint | None = None,
        prompt: Sequence[int] = (),
        thinking: Thinking | None = None,
        total: int | None = None,
    ) -> None:
        """Write at most `limit` tokens after those of `prompt`.

        With the `thinking` before them, they are at most `total`.
        """
        self.limit = limit
        #: Of the thinking and the answer together.
        self.total = limit if total is None else total
        self._thinking = thinking
        #: Of the answer alone.
        self.tokens: list[int] = []
        #: Tokens that were ever appended, those of a repetition included.
        self.generated = 0
        self.text = text
        self._params = params
        self._end_tokens = end_tokens
        self._constraint = constraint
        self._prompt = prompt
        self._sampler = Sampler(params, prompt)
        #: Least log probability of a character that the model is sure of.
        self._sure_from = math.log(params.uncertain_below) if params.uncertain_below else -math.inf
        #: Of each token: the text that it added, and its log probability.
        self._pieces: list[tuple[str, float]] = []
        #: Sum of the log probabilities of tokens whose character is not whole yet.
        self._partial = 0.0
        self._repetition = Repetition()
        #: Length of the text at which the answer was continued after a repetition.
        self._retried_at: int | None = None
        #: The token that led into a repetition: it may not be sampled next.
        self._banned: int | None = None
        self._looped = False

    @property
    def thinks(self) -> bool:
        """Tell whether the answer has not begun yet, because the model thinks or may."""
        return self._thinking is not None and self._thinking.active

    @property
    def thought(self) -> list[int]:
        """Return the tokens before the answer."""
        return self._thinking.tokens if self._thinking else []

    @property
    def written(self) -> list[int]:
        """Return all tokens: of the thinking, then of the answer."""
        return [*self.thought, *self.tokens]

    @property
    def last_token(self) -> int:
        """Return the latest of all tokens."""
        return (self.tokens or self.thought)[-1]

    @property
    def reasoning(self) -> str | None:
        """Return what the model has thought; None where it did not."""
        return self._thinking.text or None if self._thinking else None

    def take_reasoning(self) -> str:
        """Return what of the thinking was not returned before."""
        return self._thinking.take_new() if self._thinking else ""

    def sample(self, logits: torch.Tensor) -> tuple[int, float]:
        """Return a token for (vocab,) logits and its log probability.

        Raises ConstraintTooComplex when the constraint reaches its bounds, InferenceFailed when
        the logits are no numbers.
        """
        if not math.isfinite(logits.max()):
            raise InferenceFailed(_NOT_FINITE)
        if self._thinking is not None and self._thinking.active:
            token = self._thinking.sample(logits)
            if token is not None:
                return token, 0.0
            self._begin_answer(self._thinking)
        if self._thinking is not None:
            logits = self._thinking.forbid(logits)
        if self._constraint is not None:
            logits = self._constraint.mask_logits(logits)
        token = self._sampler.sample(self._ban(logits), self.tokens)
        return token, confidence.log_probability(logits, token)

    def _begin_answer(self, thinking: Thinking) -> None:
        thinking.begin_answer()
        self.limit = max(1, min(self.limit, self.total - len(thinking.tokens)))

    def _ban(self, logits: torch.Tensor) -> torch.Tensor:
        """Return logits without the banned token, unless a constraint leaves no other."""
        if self._banned is None:
            return logits
        others = logits.index_fill(0, torch.tensor([self._banned]), -torch.inf)
        self._banned = None
        return others if bool(others.isfinite().any()) else logits

    def append(self, token: int, log: float) -> tuple[str, FinishReason | None]:
        """Append a token; return the text that may be shown, and why the answer ends if it does.

        Raises ConstraintTooComplex when the constraint reaches its bounds.
        """
        if self._thinking is not None and self._thinking.active:
            self._thinking.append(token)
            self.generated += 1
            return "", None
        if token in self._end_tokens:
            return "", FinishReason.STOP
        if self._constraint is not None:
            self._constraint.accept(token)
        self.tokens.append(token)
        self.generated += 1
        piece = self.text.decode(token)
        self._pieces.append((piece, log))
        self._partial += log
        sure = self._partial >= self._sure_from
        if piece:
            self._partial = 0.0
        self._repetition.feed(piece)
        guarded = self._params.loop_guard
        hold_from = self._repetition.suspect_from if guarded else None
        shown = self.text.push(piece, sure=sure, hold_from=hold_from)
        if guarded and self._loops() and not self.text.stopped:
            return shown, self._leave_loop()
        return shown, self._end()

    def notices(self) -> list[Notice]:
        """Return what became of repetitions and of the constraint."""
        notices = self._thinking.notices() if self._thinking else []
        if self._retried_at is not None:
            notices.append(repeated_notice(self._retried_at, again=self._looped))
        if self._constraint is not None and not self._constraint.satisfied:
            notices.append(unfinished_notice(self._params))
        return notices

    def confidence(self) -> float | None:
        """Return the geometric mean of the tokens' probabilities."""
        return confidence.mean_probability(log for _, log in self._pieces)

    def lines(self) -> tuple[TextLine, ...] | None:
        """Return the confidence of each line, None unless it was requested."""
        if not self._params.line_confidence:
            return None
        return confidence.line_confidences(self.text.shown, self._pieces)

    def _loops(self) -> bool:
        """Tell whether the answer repeats itself for ever, or until its last token."""
        at_limit = len(self.tokens) >= self.limit
        return self._repetition.endless or (at_limit and self._repetition.may_be_endless)

    def _end(self) -> FinishReason | None:
        if self.text.stopped or (self._constraint is not None and self._constraint.complete):
            return FinishReason.STOP
        return FinishReason.LENGTH if len(self.tokens) >= self.limit else None

    def _leave_loop(self) -> FinishReason | None:
        """Remove what repeats and continue with other sampling; the second time, end the answer."""
        count, length = self._sound_part()
        banned = self.tokens[count]
        del self.tokens[count:], self._pieces[count:]
        self.text.rewind(self.tokens, length)
        self._partial = 0.0
        if self._retried_at is not None:
            self._looped = True
            return FinishReason.LOOP
        self._retried_at, self._banned = length, banned
        params = self._params.model_copy(update=self._retry_sampling())
        self._sampler = Sampler(params, self._prompt)
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
        suspect_from, shown = self._repetition.suspect_from, self.text.shown_length
        length = 0
        for count, (piece, _) in enumerate(self._pieces[:-1], start=1):
            length += len(piece)
            if piece and suspect_from is not None and length >= max(suspect_from, shown):
                return count, length
            if suspect_from is None and length >= shown and self._is_silent_from(count):
                return count, length
        return len(self.tokens) - 1, length

    def _is_silent_from(self, count: int) -> bool:
        return not any(piece for piece, _ in self._pieces[count:])

    def _retry_sampling(self) -> dict[str, object]:
        # a seed of its own, so that the same request continues in the same way
        return {**_RETRY_SAMPLING, "seed": (self._params.seed or 0) ^ 1}

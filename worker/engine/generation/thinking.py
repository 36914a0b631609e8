"""What a model thinks before it answers: kept apart from the answer, bounded, and always closed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from shared.jobs import GenerationParams, Notice
from worker.engine.generation.repetition import Repetition
from worker.engine.generation.sampler import Sampler

#: Blank lines that may stand between the thinking and the answer, as tokens.
_MOST_BLANK = 2


@dataclass(frozen=True, slots=True)
class ThinkTags:
    """The tokens around a model's thinking."""

    begin: int
    end: int
    #: What the engine writes where it closes the thinking itself: a line break, the tag, a blank
    #: line, as the model would.
    closing: tuple[int, ...]


class _Phase(Enum):
    #: Nothing is written yet: the first token tells whether the model thinks.
    BEGIN = auto()
    OPEN = auto()
    #: The thinking is closed, and blank lines may follow.
    CLOSED = auto()
    #: The answer has begun.
    OVER = auto()


class Thinking:
    """Follows an answer from its first token until the answer itself begins.

    `sample` is called for each token while `active`; where it returns None, the answer begins with
    the same logits.
    """

    def __init__(
        self,
        tags: ThinkTags,
        params: GenerationParams,
        tokenizer: Tokenizer,
        *,
        budget: int,
        end_tokens: frozenset[int],
        prompt: Sequence[int] = (),
        opened: bool = False,
        allowed: bool = True,
    ) -> None:
        """Follow an answer whose prompt may end within the thinking, and has then `opened` it.

        Thinking that is not `allowed` never begins.
        """
        #: All tokens before the answer, tags and blank lines included.
        self.tokens: list[int] = []
        #: The thinking so far, without line breaks around it.
        self.text = ""
        self._tags, self._budget, self._ends = tags, budget, end_tokens
        self._allowed, self._guarded = allowed, params.loop_guard
        self._phase = _Phase.OPEN if opened else _Phase.BEGIN
        self._sampler = Sampler(params, prompt)
        self._tokenizer = tokenizer
        self._decoder = DecodeStream(skip_special_tokens=True)
        #: Tokens of the thinking itself.
        self._inner: list[int] = []
        self._forced: deque[int] = deque()
        self._blank = 0
        self._pending = ""
        self._new = ""
        self._repetition = Repetition()
        self._cut: Notice | None = None

    @property
    def active(self) -> bool:
        """Tell whether the answer has not begun yet."""
        return self._phase is not _Phase.OVER

    @property
    def seen(self) -> bool:
        """Tell whether the model has thought."""
        return bool(self.tokens)

    def sample(self, logits: torch.Tensor) -> int | None:
        """Return the next token for (vocab,) logits that follow those so far, or None."""
        if self._forced:
            return self._forced.popleft()
        if self._phase is _Phase.OPEN:
            return self._sample_thought(logits)
        if not self._allowed:
            return None
        token = self._sampler.sample(logits, self._inner)
        belongs = (
            token == self._tags.begin if self._phase is _Phase.BEGIN else self._is_blank(token)
        )
        return token if belongs else None

    def forbid(self, logits: torch.Tensor) -> torch.Tensor:
        """Return (vocab,) logits of an answer that cannot think: it has, or may not."""
        if self._allowed and not self.seen:
            return logits
        tags = torch.tensor([self._tags.begin, self._tags.end])
        return logits.index_fill(0, tags, -torch.inf)

    def _sample_thought(self, logits: torch.Tensor) -> int:
        reason = self._why_enough()
        token = None if reason else self._sampler.sample(logits, self._inner)
        if token is not None and token not in self._ends:
            return token
        # an answer follows in any case: a model that ends here would have given none
        if reason:
            self._cut = Notice(code="reasoning_cut", detail=reason)
        self._forced.extend(self._tags.closing)
        return self._forced.popleft()

    def _why_enough(self) -> str | None:
        """Return why the thinking is closed by force."""
        if len(self._inner) >= self._budget:
            return f"The model's thinking was closed after {len(self._inner)} tokens."
        if self._guarded and self._repetition.endless:
            return "The model's thinking repeated itself and was closed."
        return None

    def _is_blank(self, token: int) -> bool:
        """Tell whether a token is a line break between the thinking and the answer."""
        if self._blank >= _MOST_BLANK or token in self._ends:
            return False
        text = self._tokenizer.decode([token], skip_special_tokens=False)
        return bool(text) and not text.strip("\n")

    def append(self, token: int) -> None:
        """Take a token that `sample` has returned."""
        self.tokens.append(token)
        if self._phase is _Phase.CLOSED:
            self._blank += 1
        elif token == self._tags.end:
            self._phase = _Phase.CLOSED
        elif self._phase is _Phase.BEGIN:
            self._phase = _Phase.OPEN
        else:
            self._inner.append(token)
            self._add_text(self._decoder.step(self._tokenizer, token) or "")

    def begin_answer(self) -> None:
        """Take no more tokens; called where `sample` has returned None."""
        self._phase = _Phase.OVER

    def take_new(self) -> str:
        """Return what of the thinking was not returned before."""
        text, self._new = self._new, ""
        return text

    def notices(self) -> list[Notice]:
        """Return what was done to the thinking."""
        return [self._cut] if self._cut else []

    def _add_text(self, piece: str) -> None:
        self._repetition.feed(piece)
        pending = self._pending + piece if self.text else piece.lstrip("\n")
        shown = pending.rstrip("\n")
        self._pending = pending[len(shown) :]
        self.text += shown
        self._new += shown

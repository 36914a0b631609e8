"""One request inside the engine: its inputs, its progress, and the events that it sends."""

from __future__ import annotations

import time
from collections import abc
from dataclasses import dataclass, field

import numpy as np
import torch

from shared.errors import ServiceError
from shared.jobs import CacheState, FinishReason, Stage, Usage
from worker.engine.api import (
    Completion,
    Delta,
    Failed,
    Progress,
    Started,
    Thought,
    Ticket,
    UsedImage,
)
from worker.engine.drafting.drafter import Drafter
from worker.engine.generation.answer_clock import AnswerClock
from worker.engine.generation.writer import Writer
from worker.engine.input.prompt import ImageSpan, Ints, Prompt
from worker.engine.memory.budget import MemoryNeed
from worker.engine.memory.feature_cache import file_mark
from worker.engine.memory.kv_cache import SequenceKV
from worker.engine.model.vision_tower import EncodeSteps
from worker.engine.scheduler import Phase


@dataclass(slots=True)
class PromptImage:
    """One image of a prompt on its way to features."""

    span: ImageSpan
    #: (1 + maps, tokens, hidden), once known.
    features: torch.Tensor | None = None
    #: (patches, patch_values): input of the tower, until there are features.
    patches: torch.Tensor | None = None


@dataclass(slots=True, eq=False)
class Sequence:
    """A request from submission to its last event; only the engine's thread changes it."""

    ticket: Ticket
    prompt: Prompt
    need: MemoryNeed
    writer: Writer
    images: list[PromptImage]
    #: Guesses the next tokens; one without sources never does.
    drafter: Drafter = field(default_factory=Drafter)
    #: Guessed tokens that the next pass checks.
    draft: abc.Sequence[int] = ()
    #: How many were checked so far, and how many of them were right.
    draft_tokens: int = 0
    accepted_tokens: int = 0
    #: Keys and values, once admitted.
    kv: SequenceKV | None = None
    #: Of the present image's way through the tower.
    steps: EncodeSteps | None = None
    #: Prompt tokens that an earlier sequence had computed.
    cached_tokens: int = 0
    encoded_images: int = 0
    #: Seconds that the latest block of the present image took; 0 before the first.
    block_s: float = 0.0
    _clock: AnswerClock = field(default_factory=AnswerClock)

    @property
    def background(self) -> bool:
        """Tell whether others may overtake it."""
        return self.ticket.request.background

    @property
    def phase(self) -> Phase:
        """What the sequence needs next."""
        if self.to_encode is not None:
            return Phase.ENCODE
        return Phase.PREFILL if self.prefill_left else Phase.DECODE

    @property
    def prefill_left(self) -> int:
        """Prompt tokens that are not computed yet."""
        return max(0, len(self.prompt.ids) - self.buffer.length)

    @property
    def buffer(self) -> SequenceKV:
        """Keys and values; raises RuntimeError before the sequence is admitted."""
        if self.kv is None:
            raise RuntimeError("the sequence is not admitted")
        return self.kv

    @property
    def to_encode(self) -> PromptImage | None:
        """The first image whose features are still needed."""
        for image in self.images:
            if image.features is None and image.span.end > self.buffer.length:
                return image
        return None

    @property
    def end_reason(self) -> FinishReason | None:
        """Why the sequence must end now: canceled or past its deadline; None if it need not."""
        return self.ticket.end_reason

    @property
    def file_marks(self) -> frozenset[str]:
        """Return the marks of the files whose pictures are in the prompt."""
        return frozenset(file_mark(image.span.key) for image in self.images)

    @property
    def identity(self) -> Ints:
        """(length,) inputs that the valid part of the buffer was computed from."""
        generated = np.array(self.writer.written, dtype=np.int64)
        return np.concatenate([self.prompt.identity, generated])[: self.buffer.length]

    def announce(self) -> None:
        """Send the sizes of prompt and images."""
        used = tuple(
            UsedImage(i.span.source.id, (i.span.size.width, i.span.size.height), i.span.size.tokens)
            for i in self.images
        )
        self.ticket.put(Started(len(self.prompt.ids), used))

    def start(self, kv: SequenceKV, cached_tokens: int) -> None:
        """Start on a buffer that may hold the prompt's first tokens."""
        self.kv, self.cached_tokens = kv, cached_tokens
        self._clock.started = time.monotonic()

    def report_encode(self, fraction: float) -> None:
        """Send the tower's progress over the images that it has to encode."""
        missing = sum(i.features is None and i.span.end > self.buffer.length for i in self.images)
        whole = self.encoded_images + max(missing, 1)
        self.ticket.put(Progress(Stage.ENCODE, (self.encoded_images + fraction) / whole))

    def set_features(self, image: PromptImage, features: torch.Tensor) -> None:
        """Take the (1 + maps, tokens, hidden) features of an image from the tower."""
        image.features, image.patches, self.steps = features, None, None
        self.block_s = 0.0
        self.encoded_images += 1

    def start_prefill(self) -> None:
        """Note the time at which all features were there."""
        if self._clock.encoded is None:
            self._clock.encoded = time.monotonic()

    def report_prefill(self) -> None:
        """Send how much of the prompt is computed."""
        computed = self.buffer.length - self.cached_tokens
        self.ticket.put(Progress(Stage.PREFILL, computed / (computed + self.prefill_left)))

    @property
    def tokens_left(self) -> int:
        """Tokens that the answer may still get; one at a time before it has begun."""
        return 1 if self.writer.thinks else self.writer.limit - len(self.writer.tokens)

    def write_tokens(self, logits: torch.Tensor) -> FinishReason | None:
        """Append the next token, and one more for each drafted one that is right.

        (rows, vocab) `logits` follow the last token and each of the draft. Returns why the answer
        ends, if it does. Raises ConstraintTooComplex when a constraint reaches its bounds.
        """
        if self._clock.prefilled is None:
            self._clock.prefilled = time.monotonic()
        draft, self.draft = self.draft, ()
        self.draft_tokens += len(draft)
        for row, guess in zip(logits, (*draft, None), strict=True):
            reason, agreed = self._write_token(row, guess)
            self.accepted_tokens += agreed
            reason = reason or (self.end_reason if agreed else None)
            if reason or not agreed:
                break
        # the last token is computed in the next pass; what was removed or guessed wrong is cut off
        tokens = len(self.prompt.ids) + len(self.writer.written) - 1
        self.buffer.length = min(self.buffer.length, tokens)
        return reason

    def _write_token(
        self, logits: torch.Tensor, guess: int | None
    ) -> tuple[FinishReason | None, bool]:
        """Append a token; return why the answer ends, and whether the token is as guessed."""
        tokens = self.writer.tokens
        before = len(tokens)
        shown, reason = self.writer.append(*self.writer.sample(logits))
        if self.writer.thinks:
            self._show_thought()
            return reason, False
        self._show(shown)
        if len(tokens) > before:
            self.drafter.append(tokens[-1])
            return reason, tokens[-1] == guess
        if reason is None:
            self.drafter.rewind(tokens)
        return reason, False

    def finish(self, reason: FinishReason) -> None:
        """Send the pending text, and the end."""
        writer, thought = self.writer, len(self.writer.thought)
        self._show_thought()
        self._show(writer.text.finish())
        self.ticket.put(
            Completion(
                text=writer.text.shown,
                finish_reason=reason,
                usage=Usage(
                    prompt_tokens=len(self.prompt.ids),
                    completion_tokens=thought + len(writer.tokens),
                    image_tokens=self.prompt.image_tokens,
                    cached_tokens=self.cached_tokens,
                    draft_tokens=self.draft_tokens,
                    accepted_tokens=self.accepted_tokens,
                    reasoning_tokens=thought,
                ),
                timings=self._clock.timings(),
                token_ids=tuple(writer.tokens),
                features=self._features_state(),
                prefix=None if self.kv is None else _state(self.cached_tokens > 0),
                confidence=writer.confidence(),
                lines=writer.lines(),
                notices=tuple(writer.notices()),
                reasoning=writer.reasoning,
            )
        )

    def fail(self, error: ServiceError) -> None:
        """Send an error as the last event."""
        self.ticket.put(Failed(error))

    def next_input(self, prefill_tokens: int) -> tuple[abc.Sequence[int] | Ints, Ints]:
        """Return (n,) ids and (3, n) positions of the next rows.

        They are a prompt chunk; or, where `prefill_tokens` is 0, the last token and the draft.
        """
        if prefill_tokens:
            rows = slice(self.buffer.length, self.buffer.length + prefill_tokens)
            return self.prompt.ids[rows], self.prompt.positions[:, rows]
        ids = [self.writer.last_token, *self.draft]
        first = self.prompt.next_position + len(self.writer.written) - 1
        return ids, np.tile(np.arange(first, first + len(ids)), (3, 1))

    def _show_thought(self) -> None:
        if text := self.writer.take_reasoning():
            self.ticket.put(Thought(text, self.writer.generated))

    def _show(self, text: str) -> None:
        if text:
            self.ticket.put(Delta(text, self.writer.generated))

    def _features_state(self) -> CacheState | None:
        if not self.images or self.kv is None:
            return None
        return _state(not self.encoded_images and self.to_encode is None)


def _state(hit: bool) -> CacheState:
    return "hit" if hit else "miss"

"""One request inside the engine: its inputs, how far it is, and the events that it sends."""

from __future__ import annotations

import time
from collections.abc import Sequence as ListOf
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
    Ticket,
    Timings,
    UsedImage,
)
from worker.engine.generation.writer import Writer
from worker.engine.input.prompt import ImageSpan, Ints, Prompt
from worker.engine.memory.budget import MemoryNeed
from worker.engine.memory.kv_cache import SequenceKV
from worker.engine.model.vision_tower import EncodeSteps
from worker.engine.scheduler import Phase


@dataclass(slots=True)
class ImageWork:
    """One image of a prompt on its way to features."""

    span: ImageSpan
    #: (1 + maps, tokens, hidden), once known.
    features: torch.Tensor | None = None
    #: Input of the tower, kept while features are missing.
    patches: torch.Tensor | None = None


@dataclass(slots=True)
class _Clock:
    admitted: float | None = None
    encoded: float | None = None
    prefilled: float | None = None

    def timings(self) -> Timings:
        now = time.monotonic()
        admitted = self.admitted or now
        encoded = self.encoded or now
        prefilled = self.prefilled or now
        return Timings(encoded - admitted, prefilled - encoded, now - prefilled)


@dataclass(slots=True, eq=False)
class Sequence:
    """A request from submission to its last event; only the engine's thread changes it."""

    ticket: Ticket
    prompt: Prompt
    need: MemoryNeed
    writer: Writer
    images: list[ImageWork]
    kv: SequenceKV | None = None
    steps: EncodeSteps | None = None
    cached_tokens: int = 0
    encoded_images: int = 0
    #: Seconds that the latest block of the present image took; 0 before the first.
    block_s: float = 0.0
    _clock: _Clock = field(default_factory=_Clock)

    @property
    def background(self) -> bool:
        """Tell whether others may overtake it."""
        return self.ticket.request.background

    @property
    def phase(self) -> Phase:
        """What is to be done next."""
        if self.to_encode is not None:
            return Phase.ENCODE
        return Phase.PREFILL if self.prefill_left else Phase.DECODE

    @property
    def prefill_left(self) -> int:
        """Prompt tokens that are not computed yet."""
        return max(0, len(self.prompt.ids) - self.buffer.length)

    @property
    def buffer(self) -> SequenceKV:
        """Keys and values; only an admitted sequence has them."""
        if self.kv is None:
            raise RuntimeError("the sequence is not admitted")
        return self.kv

    @property
    def to_encode(self) -> ImageWork | None:
        """The first image whose features are still needed."""
        for image in self.images:
            if image.features is None and image.span.end > self.buffer.length:
                return image
        return None

    @property
    def overdue(self) -> FinishReason | None:
        """Why the sequence must end now, if it must."""
        if self.ticket.canceled:
            return FinishReason.CANCELED
        deadline = self.ticket.request.deadline
        if deadline is not None and time.monotonic() >= deadline:
            return FinishReason.DEADLINE
        return None

    @property
    def identity(self) -> Ints:
        """What the valid part of the buffer was computed from."""
        generated = np.array(self.writer.tokens, dtype=np.int64)
        return np.concatenate([self.prompt.identity, generated])[: self.buffer.length]

    def announce(self) -> None:
        """Tell the request's shape."""
        used = tuple(
            UsedImage(i.span.source.id, (i.span.size.width, i.span.size.height), i.span.size.tokens)
            for i in self.images
        )
        self.ticket.put(Started(len(self.prompt.ids), used))

    def admitted(self, kv: SequenceKV, cached_tokens: int) -> None:
        """Start work on a buffer that may hold the prompt's beginning."""
        self.kv, self.cached_tokens = kv, cached_tokens
        self._clock.admitted = time.monotonic()

    def encode_went_on(self, fraction: float) -> None:
        """Report the tower's progress over the images that it has to encode."""
        missing = sum(i.features is None and i.span.end > self.buffer.length for i in self.images)
        whole = self.encoded_images + max(missing, 1)
        self.ticket.put(Progress(Stage.ENCODE, (self.encoded_images + fraction) / whole))

    def encoded(self, image: ImageWork, features: torch.Tensor) -> None:
        """Take the features of an image."""
        image.features, image.patches, self.steps = features, None, None
        self.block_s = 0.0
        self.encoded_images += 1

    def prefill_starts(self) -> None:
        """Note that all features are there."""
        if self._clock.encoded is None:
            self._clock.encoded = time.monotonic()

    def prefill_went_on(self) -> None:
        """Report how much of the prompt is computed."""
        done = self.buffer.length - self.cached_tokens
        self.ticket.put(Progress(Stage.PREFILL, done / (done + self.prefill_left)))

    def write(self, logits: torch.Tensor) -> FinishReason | None:
        """Take the next token from (vocab,) logits; return why the answer ends, if it does."""
        if self._clock.prefilled is None:
            self._clock.prefilled = time.monotonic()
        shown, reason = self.writer.take(*self.writer.choose(logits))
        self._show(shown)
        # the last token is computed in the next pass; what was taken back is forgotten
        tokens = len(self.prompt.ids) + len(self.writer.tokens) - 1
        self.buffer.length = min(self.buffer.length, tokens)
        return reason

    def finish(self, reason: FinishReason) -> None:
        """Send what is left of the text, and the end."""
        writer = self.writer
        self._show(writer.text.finish())
        self.ticket.put(
            Completion(
                text=writer.text.shown,
                finish_reason=reason,
                usage=Usage(
                    prompt_tokens=len(self.prompt.ids),
                    completion_tokens=len(writer.tokens),
                    image_tokens=self.prompt.image_tokens,
                    cached_tokens=self.cached_tokens,
                ),
                timings=self._clock.timings(),
                token_ids=tuple(writer.tokens),
                features=self._features_state(),
                prefix=None if self.kv is None else _state(self.cached_tokens > 0),
                confidence=writer.confidence(),
                lines=writer.lines(),
                notices=tuple(writer.notices()),
            )
        )

    def fail(self, error: ServiceError) -> None:
        """Send an error as the end."""
        self.ticket.put(Failed(error))

    def next_input(self, prefill_tokens: int) -> tuple[ListOf[int] | Ints, Ints]:
        """Return ids and (3, n) positions of the next rows: a prompt chunk or the last token."""
        if prefill_tokens:
            rows = slice(self.buffer.length, self.buffer.length + prefill_tokens)
            return self.prompt.ids[rows], self.prompt.positions[:, rows]
        tokens = self.writer.tokens
        position = self.prompt.next_position + len(tokens) - 1
        return tokens[-1:], np.full((3, 1), position)

    def _show(self, text: str) -> None:
        if text:
            self.ticket.put(Delta(text, self.writer.taken))

    def _features_state(self) -> CacheState | None:
        if not self.images or self.kv is None:
            return None
        return _state(not self.encoded_images and self.to_encode is None)


def _state(hit: bool) -> CacheState:
    return "hit" if hit else "miss"

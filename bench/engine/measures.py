"""The measurements of one engine, in seconds, tokens a second or bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from bench.engine.probe import record_writers
from shared.jobs import GenerationParams
from worker.engine.api import (
    Completion,
    Engine,
    EngineRequest,
    Failed,
    ImageInput,
    Message,
    Ticket,
)

#: Twenty tokens of the byte tokenizer, as many as twenty words of a trained one.
QUESTION = "What is in this one?"
BATCHES = (1, 2, 4, 8)
SIDES = (512, 1024)


@dataclass(slots=True)
class Figures:
    """The results of one engine; keys are sides in pixels, or requests at once."""

    name: str
    load_s: float = 0.0
    cold_s: dict[int, float] = field(default_factory=dict)
    encode_s: dict[int, float] = field(default_factory=dict)
    features_only_s: dict[int, float] = field(default_factory=dict)
    follow_up_s: dict[int, float] = field(default_factory=dict)
    prefill_tokens_per_s: float = 0.0
    #: Of all requests together, by requests at once.
    decode_tokens_per_s: dict[int, float] = field(default_factory=dict)
    four_images_per_minute: float = 0.0
    longest_stall_s: float = 0.0
    #: Resident memory beyond the page cache, at the end.
    anonymous_bytes: int = 0


def picture(side: int, seed: int) -> Image.Image:
    """Return a square of noise; no two seeds share one."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def anonymous_bytes() -> int:
    """Return resident memory beyond the page cache."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0


class Bench:
    """Measures one engine with the same requests as the other engines."""

    def __init__(
        self, engine: Engine, figures: Figures, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """`clock` returns seconds; processor seconds suit an engine of one thread."""
        self._engine = engine
        self.figures = figures
        self._clock = clock
        self._seed = 0

    def run(self) -> Figures:
        """Measure everything."""
        self._ask(self._fresh(256), tokens=4)  # the first request is slower
        for side in SIDES:
            self.measure_turns(side)
        for count in BATCHES:
            self.measure_decode(count)
        self._measure_four_at_once()
        self.figures.anonymous_bytes = anonymous_bytes()
        return self.figures

    def _fresh(self, side: int) -> ImageInput:
        self._seed += 1
        return ImageInput(f"img_{side}_{self._seed}", picture(side, self._seed), 1 << 24)

    def _request(
        self, *messages: Message, tokens: int, scope: str = "", features: str = ""
    ) -> EngineRequest:
        params = GenerationParams(max_new_tokens=tokens)
        return EngineRequest("bench", messages, params, scope=scope, feature_scope=features)

    def _ask(
        self, image: ImageInput, *, tokens: int, text: str = QUESTION, scope: str = ""
    ) -> Completion:
        message = Message("user", text, (image,))
        return _end(self._engine.submit(self._request(message, tokens=tokens, scope=scope)))

    def measure_turns(self, side: int) -> None:
        """Measure a cold request, one with cached features, and a second turn with cached keys."""
        figures, scope = self.figures, f"turns-{side}"
        first = Message("user", QUESTION, (self._fresh(side),))
        started = self._clock()
        request = self._request(first, tokens=1, scope=scope, features=scope)
        done = _end(self._engine.submit(request))
        figures.cold_s[side] = self._clock() - started
        figures.encode_s[side] = done.timings.encode_s
        started = self._clock()
        again = _end(self._engine.submit(self._request(first, tokens=1, features=scope)))
        figures.features_only_s[side] = self._clock() - started
        figures.prefill_tokens_per_s = again.usage.prompt_tokens / again.timings.prefill_s
        answer = Message("assistant", done.text, token_ids=done.token_ids)
        second = Message("user", "And on the left?")
        started = self._clock()
        request = self._request(first, answer, second, tokens=1, scope=scope, features=scope)
        _end(self._engine.submit(request))
        figures.follow_up_s[side] = self._clock() - started

    def measure_decode(self, count: int, tokens: int = 33) -> None:
        """Measure answers that start in one step, as their prompts are cached."""
        messages = [Message("user", f"{n} {QUESTION}", (self._fresh(256),)) for n in range(count)]
        scopes = [f"decode-{count}-{n}" for n in range(count)]
        for message, scope in zip(messages, scopes, strict=True):
            _end(self._engine.submit(self._request(message, tokens=1, scope=scope)))
        started = self._clock()
        tickets = [
            self._engine.submit(self._request(message, tokens=tokens, scope=scope))
            for message, scope in zip(messages, scopes, strict=True)
        ]
        done = [_end(ticket) for ticket in tickets]
        slowest = max(one.timings.decode_s for one in done)
        if self._clock is not time.perf_counter:
            slowest = self._clock() - started
        self.figures.decode_tokens_per_s[count] = count * (tokens - 1) / slowest

    def _measure_four_at_once(self, tokens: int = 32) -> None:
        """Measure four new images at once; a stall is the time between two tokens of an answer.

        Not between pieces of text: most bytes of random weights complete no character.
        """
        images = [self._fresh(512) for _ in range(4)]
        started = time.perf_counter()
        with record_writers() as writers:
            tickets = [
                self._engine.submit(
                    self._request(Message("user", QUESTION, (image,)), tokens=tokens)
                )
                for image in images
            ]
        for ticket in tickets:
            _end(ticket)
        self.figures.four_images_per_minute = 4 * 60 / (time.perf_counter() - started)
        gaps = [later - sooner for one in writers for sooner, later in pairwise(one.times)]
        self.figures.longest_stall_s = max(gaps, default=0.0)


def _end(ticket: Ticket) -> Completion:
    last = list(ticket.events())[-1]
    if isinstance(last, Failed):
        raise last.error
    if not isinstance(last, Completion):
        raise TypeError(last)
    return last

"""Lets transformers write one answer, of which each token is chosen here.

`generate` knows what each architecture needs from pass to pass. Sampling, stop strings, confidence
and the guard against loops are those of our own engine, so that answers mean the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from shared.errors import InferenceFailed
from shared.jobs import FinishReason, Stage
from worker.engine.generic.answer import Answer
from worker.engine.generic.watch import ModelWatch, Part
from worker.engine.speed.rates import RateMeter

_NOT_WRITTEN = "The model does not write its answers token by token."


class Interrupted(Exception):
    """The answer must end now, in the middle of a pass."""

    def __init__(self, reason: FinishReason) -> None:
        super().__init__(reason)
        self.reason = reason


class AnswerWriting:
    """The writing of one answer; used by the engine's thread once."""

    def __init__(
        self,
        model: Any,
        watch: ModelWatch,
        answer: Answer,
        meter: RateMeter,
        look_around: Callable[[], None],
    ) -> None:
        """`look_around` is called between layers, at most a millisecond's work."""
        self._model = model
        self._watch = watch
        self._answer = answer
        self._meter = meter
        self._look_around = look_around
        self._reason: FinishReason | None = None
        self._written = 0
        #: When the pass before this one ended; None where the whole prompt is read anew.
        self._passed_at: float | None = None

    def run(self) -> FinishReason:
        """Write the answer and return why it ends; raises whatever the model raises."""
        answer = self._answer
        answer.clock.started = time.monotonic()
        self._watch.pulse = self._pulse
        try:
            while self._reason is None:
                self._write_on()
        except Interrupted as interruption:
            return interruption.reason
        finally:
            self._watch.pulse = None
        return self._reason

    def _write_on(self) -> None:
        """Write until the answer ends, or until tokens of it were taken back."""
        answer, writer = self._answer, self._answer.writer
        self._written, self._passed_at = len(writer.written), None
        limit = writer.total - self._written
        before = writer.generated
        self._model.generate(
            **answer.inputs.extended(writer.written),
            generation_config=GenerationConfig(
                do_sample=False,
                num_beams=1,
                max_new_tokens=limit,
                eos_token_id=None,
                use_cache=True,
            ),
            logits_processor=LogitsProcessorList([self._choose]),
            stopping_criteria=StoppingCriteriaList([self._must_stop]),
        )
        if self._reason is None and writer.generated == before:
            raise InferenceFailed(_NOT_WRITTEN)

    def _choose(self, _ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Append a token to the answer; return (1, vocab) scores that leave no other."""
        self._measure()
        answer, writer = self._answer, self._answer.writer
        token, log = writer.sample(scores[0])
        shown, self._reason = writer.append(token, log)
        self._written += 1
        answer.show(shown)
        return torch.full_like(scores, -torch.inf).index_fill(1, torch.tensor([token]), 0.0)

    def _must_stop(self, ids: torch.Tensor, _scores: Any, **_: Any) -> torch.Tensor:
        """Tell whether the answer has ended, or no longer is what the model has read."""
        rewound = len(self._answer.writer.written) != self._written
        stops = self._reason is not None or rewound
        return torch.full((len(ids),), stops, dtype=torch.bool)

    def _pulse(self, part: Part, number: int) -> None:
        """Look before each layer whether somebody still waits; report how far the prompt is."""
        reason = self._answer.ticket.end_reason
        if reason is not None:
            raise Interrupted(reason)
        self._look_around()
        answer, clock = self._answer, self._answer.clock
        if clock.prefilled is not None:
            return
        if part is self._watch.language:
            clock.encoded = clock.encoded or time.monotonic()
            answer.report(Stage.PREFILL, number / part.layers)
        else:
            answer.report(Stage.ENCODE, number / part.layers)

    def _measure(self) -> None:
        """Count the pass that has just ended."""
        now = time.monotonic()
        if self._answer.clock.prefilled is None:
            self._measure_prompt(now)
        elif self._passed_at is not None:
            self._meter.add_pass(0, 1, 1, now - self._passed_at)
        self._passed_at = now

    def _measure_prompt(self, now: float) -> None:
        answer, clock = self._answer, self._answer.clock
        started = clock.started or now
        encoded = clock.encoded = clock.encoded or started
        clock.prefilled = now
        answer.report(Stage.PREFILL, 1.0)
        tokens = answer.inputs.image_tokens
        for image in answer.inputs.images:
            share = image.tokens / tokens if tokens else 0.0
            if share and encoded > started:
                self._meter.add_encode(image.tokens, 1.0, (encoded - started) * share)
        self._meter.add_pass(len(answer.inputs.ids), 0, 1, now - encoded)

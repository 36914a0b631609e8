"""One request of the generic engine: its inputs, its text and the events that it sends."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.errors import ServiceError
from shared.jobs import FinishReason, Notice, Stage, Usage
from worker.engine.api import (
    Completion,
    Delta,
    Failed,
    Progress,
    Started,
    Thought,
    Ticket,
)
from worker.engine.generation.answer_clock import AnswerClock
from worker.engine.generation.writer import Writer
from worker.engine.generic.inputs import ModelInputs

#: Nothing is kept of an image, so it cannot be encoded ahead of its question.
NOT_KEPT = Notice(
    code="features_not_kept",
    detail="This engine keeps no image features: nothing was computed ahead.",
)


@dataclass(slots=True, eq=False)
class Answer:
    """A request from submission to its last event; only the engine's thread changes it."""

    ticket: Ticket
    inputs: ModelInputs
    writer: Writer
    clock: AnswerClock = field(default_factory=AnswerClock)
    _reported: dict[Stage, float] = field(default_factory=dict)

    def announce(self) -> None:
        """Send the sizes of prompt and images."""
        self.ticket.put(Started(len(self.inputs.ids), self.inputs.images))

    def report(self, stage: Stage, fraction: float) -> None:
        """Send how far a stage is, which never goes back."""
        if fraction > self._reported.get(stage, 0.0):
            self._reported[stage] = fraction
            self.ticket.put(Progress(stage, fraction))

    def show(self, text: str) -> None:
        """Send what was thought meanwhile, and new text."""
        if thought := self.writer.take_reasoning():
            self.ticket.put(Thought(thought, self.writer.generated))
        if text:
            self.ticket.put(Delta(text, self.writer.generated))

    def finish(self, reason: FinishReason, *notices: Notice) -> None:
        """Send the pending text, and the end."""
        writer, thought = self.writer, len(self.writer.thought)
        self.show(writer.text.finish())
        self.ticket.put(
            Completion(
                text=writer.text.shown,
                finish_reason=reason,
                usage=Usage(
                    prompt_tokens=len(self.inputs.ids),
                    completion_tokens=thought + len(writer.tokens),
                    image_tokens=self.inputs.image_tokens,
                    reasoning_tokens=thought,
                ),
                timings=self.clock.timings(),
                token_ids=tuple(writer.tokens),
                confidence=writer.confidence(),
                lines=writer.lines(),
                notices=(*writer.notices(), *notices),
                reasoning=writer.reasoning,
            )
        )

    def fail(self, error: ServiceError) -> None:
        """Send an error as the last event."""
        self.ticket.put(Failed(error))

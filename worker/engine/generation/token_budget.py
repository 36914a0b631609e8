"""How many tokens of an answer a model may think; knows no tensor."""

from __future__ import annotations

from dataclasses import dataclass

from shared.jobs import GenerationParams

#: Tokens of thinking where the request bounds it by nothing.
USUAL_BUDGET = 2048
#: Tokens that the tags and what stands around them take at most.
_AROUND = 8
#: With less room for both there is no thinking.
LEAST_ROOM = 4 * _AROUND


@dataclass(frozen=True, slots=True)
class Budget:
    """How many tokens the thinking and the answer of one request may have."""

    thinking: int
    answer: int
    #: Both together, with the tags.
    total: int

    @classmethod
    def of(cls, params: GenerationParams, room: int, *, on_top: bool) -> Budget:
        """Divide the `room` that the prompt leaves; the answer gets half of it or all it may have.

        Thinking `on_top` is not counted as a part of `max_new_tokens`.
        """
        wanted = params.max_reasoning_tokens
        most = USUAL_BUDGET if wanted is None else wanted
        room = min(room, params.max_total_tokens or room)
        answer = min(params.max_new_tokens, room)
        room = room if on_top else answer
        thinking = max(0, min(most, max(room - answer, room // 2) - _AROUND))
        return cls(thinking, answer, min(room, answer + thinking + _AROUND))


def wants_thinking(params: GenerationParams) -> bool | None:
    """Return what a chat template is told; None where nobody has said anything."""
    too_short = params.max_total_tokens is not None and params.max_total_tokens < LEAST_ROOM
    return False if too_short or not params.may_think else params.enable_thinking

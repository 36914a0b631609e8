"""How OpenAI's and vLLM's clients ask a model to think, as parameters of a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.errors import BadParameters
from shared.prediction.heartbeat import Heartbeat

#: OpenAI's efforts: the tokens of thinking that each is worth, None for no thinking at all.
_EFFORTS: dict[str, int | None] = {
    "none": None,
    "minimal": 256,
    "low": 512,
    "medium": 2048,
    "high": 8192,
    "xhigh": 16_384,
    "max": 16_384,
}
_KWARGS, _EFFORT, _RESPONSES = "chat_template_kwargs", "reasoning_effort", "reasoning"
#: Members of the Responses API's `reasoning`; summaries are not made.
_REASONING = frozenset(("effort", "summary", "generate_summary"))


def with_thinking(named: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with those about thinking by our names; raises BadParameters."""
    named = dict(named)
    if "thinking_budget" in named:
        named.setdefault("max_reasoning_tokens", named.pop("thinking_budget"))
    kwargs = named.get(_KWARGS)
    if isinstance(kwargs, dict) and "enable_thinking" in kwargs:
        named.setdefault("enable_thinking", kwargs["enable_thinking"])
        named[_KWARGS] = {k: v for k, v in kwargs.items() if k != "enable_thinking"}
    return named


def take_effort(named: dict[str, Any]) -> str | None:
    """Remove the wanted effort from parameters and return it; raises BadParameters."""
    effort, pointer = named.pop(_EFFORT, None), f"/{_EFFORT}"
    reasoning = named.get(_RESPONSES)
    if isinstance(reasoning, dict) and reasoning.keys() <= _REASONING:
        effort = effort or reasoning.get("effort")
        pointer = f"/{_RESPONSES}/effort"
        del named[_RESPONSES]
    if effort is None or (isinstance(effort, str) and effort in _EFFORTS):
        return effort
    known = ", ".join(_EFFORTS)
    raise BadParameters(f"The effort of reasoning must be one of {known}.", pointer=pointer)


def effort_fields(
    effort: str | None, workers: Sequence[Heartbeat], most_tokens: int
) -> dict[str, Any]:
    """Return our parameters for an effort; none where no model can think."""
    if effort is None or not can_think(workers):
        return {}
    tokens = _EFFORTS[effort]
    if tokens is None:
        return {"enable_thinking": False}
    return {"enable_thinking": True, "max_reasoning_tokens": min(tokens, most_tokens)}


def can_think(workers: Sequence[Heartbeat]) -> bool:
    """Tell whether a model of these workers can think before it answers."""
    return any(worker.thinks for worker in workers)

"""Jobs in the form of OpenAI's chat completions, whole or in chunks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from gateway.schemas.jobs.output import EvidenceState
from shared.jobs import FinishReason
from shared.jobs.row import JobRow

#: OpenAI has no reason for an answer that was cut because it repeated itself.
_FINISH_REASONS = {FinishReason.LENGTH: "length", FinishReason.LOOP: "length"}


class ChatUsage(BaseModel):
    """Tokens of a completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int]
    completion_tokens_details: dict[str, int]


class ChatAnswer(BaseModel):
    """The message of a completion."""

    role: Literal["assistant"]
    content: str
    refusal: None = None
    reasoning_content: str | None = Field(
        None, description="What the model has thought before it answered, where it did."
    )


class ChatChoice(BaseModel):
    """The one choice of a completion."""

    index: int
    message: ChatAnswer
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class ChatCompletion(BaseModel):
    """OpenAI's chat completion; its id is the job's."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage
    warnings: list[dict[str, str]]
    evidence: dict[str, EvidenceState] | None = Field(
        None, description="With `evidence`: by JSON pointer, of each value of the answer."
    )
    review: list[str] | None = Field(
        None, description="With `review`: what a person should look at, as in a job's output."
    )


def completion(row: JobRow) -> dict[str, Any]:
    """Return the completion of a job that has succeeded."""
    thought = {"reasoning_content": row.reasoning} if row.reasoning else {}
    message = {"role": "assistant", "content": (row.output or {})["text"], "refusal": None}
    choice = {
        "index": 0,
        "message": message | thought,
        "logprobs": None,
        "finish_reason": finish_reason(row),
    }
    return _head(row, "chat.completion") | {
        "choices": [choice],
        "usage": usage(row),
        "warnings": list(row.notices),
        **asked_members(row),
    }


def asked_members(row: JobRow) -> dict[str, Any]:
    """Return what an answer has beside its text because its caller asked for it."""
    output = row.output or {}
    return {name: output[name] for name in ("evidence", "review") if output.get(name) is not None}


def chunk(row: JobRow, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    """Return a chunk of a streamed answer."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _head(row, "chat.completion.chunk") | {"choices": [choice]}


def usage_chunk(row: JobRow) -> dict[str, Any]:
    """Return the chunk that ends a stream with `include_usage`."""
    return _head(row, "chat.completion.chunk") | {"choices": [], "usage": usage(row)}


def finish_reason(row: JobRow) -> str:
    """Return why the answer ended, as OpenAI names it."""
    return _FINISH_REASONS.get((row.output or {})["finish_reason"], "stop")


def usage(row: JobRow) -> dict[str, Any]:
    """Return the token counts of an ended job."""
    tokens = row.usage or {}
    accepted = tokens.get("accepted_tokens", 0)
    counts = {name: tokens.get(name, 0) for name in ("prompt_tokens", "completion_tokens")}
    return counts | {
        "total_tokens": sum(counts.values()),
        "prompt_tokens_details": {
            "cached_tokens": tokens.get("cached_tokens", 0),
            "image_tokens": tokens.get("image_tokens", 0),
        },
        "completion_tokens_details": {
            "reasoning_tokens": tokens.get("reasoning_tokens", 0),
            "accepted_prediction_tokens": accepted,
            "rejected_prediction_tokens": tokens.get("draft_tokens", 0) - accepted,
        },
    }


def _head(row: JobRow, kind: str) -> dict[str, Any]:
    created = row.created_ms // 1000
    return {"id": row.id, "object": kind, "created": created, "model": row.model or "sightline"}

"""The parameters of OpenAI's chat request as those of a job; what is ignored is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from gateway.submission.chats.thinking import take_effort, with_thinking
from gateway.submission.fields.submission import Submission
from shared.errors import BadParameters
from shared.excerpt import excerpt
from shared.jobs.row import dump

#: Tokens of an answer when the caller names no bound; OpenAI has none at all.
_MAX_TOKENS = 512
#: OpenAI's parameters that only describe the caller or change nothing here.
_WITHOUT_EFFECT = frozenset(
    (
        "user",
        "store",
        "service_tier",
        "parallel_tool_calls",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "verbosity",
        "tool_choice",
    )
)
#: OpenAI's parameters that are accepted with these values only; null is one for all.
_FIXED_VALUES: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "audio": (),
    "web_search_options": (),
}
#: Our parameters that a chat sets by its messages or by OpenAI's names.
_SET_BY_CHAT = frozenset(
    (
        *("model", "prompt", "images", "document", "detail", "session_id"),
        *("max_new_tokens", "do_sample"),
    )
)
#: Our parameters that would let whoever holds a connection wait for the night.
_ONLY_JOBS = frozenset(("not_before", "window"))
#: Names in one warning.
_SHOWN_NAMES = 10
#: Parameters of sampling that have the same name here.
_SAMPLING = (
    *("top_k", "min_p"),
    *("presence_penalty", "frequency_penalty", "repetition_penalty"),
)


@dataclass(frozen=True, slots=True)
class OwnParameters:
    """Those of a job's parameters that a chat names itself, and what of the others is told."""

    values: dict[str, Any] = field(default_factory=dict)
    notices: list[dict[str, str]] = field(default_factory=list)
    #: How much a model that can think is to think, by OpenAI's names.
    effort: str | None = None

    @property
    def strict(self) -> bool:
        """Tell whether what would be changed or ignored is to be refused."""
        return self.values.get("strict") is True

    @property
    def waits_for_model(self) -> bool:
        """Tell whether its model need not be served now."""
        return self.values.get("wait_for_model") is True

    @property
    def max_pixels(self) -> int | None:
        """Return the pixel budget; a wrong one is refused with the submission."""
        value = self.values.get("max_pixels")
        return value if isinstance(value, int) else None

    def tell(self, code: str, detail: str, pointer: str) -> None:
        """Note what is done to the request; raises BadParameters where that is not wanted."""
        if self.strict:
            raise BadParameters(detail, pointer=pointer, hint="Without `strict` it is a warning.")
        self.notices.append({"code": code, "detail": detail})


def pick_own_parameters(extra: Mapping[str, Any]) -> OwnParameters:
    """Return those of our parameters that are among these; raises BadParameters.

    Null means that a parameter is not named; so does what is foreign and empty. What nobody
    knows is ignored and noted.
    """
    named = _with_reference({name: value for name, value in extra.items() if value is not None})
    named = with_thinking(named)
    effort = take_effort(named)
    values = {name: value for name, value in named.items() if _is_own(name)}
    own = OwnParameters(values, effort=effort)
    foreign = [name for name in named if name not in own.values and name not in _WITHOUT_EFFECT]
    foreign = [name for name in foreign if named[name] not in ([], {})]
    unknown = [name for name in foreign if not _is_known(name, named[name])]
    if unknown:
        own.tell("parameter_ignored", _ignored(unknown), f"/{excerpt(unknown[0])}")
    return own


class _PredictedPart(BaseModel):
    type: Literal["text"]
    text: str


class _Prediction(BaseModel):
    """OpenAI's predicted output."""

    type: Literal["content"]
    content: str | list[_PredictedPart]


def _with_reference(named: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with a predicted output as the reference; raises BadParameters."""
    if "prediction" not in named:
        return named
    if "reference" in named:
        raise BadParameters("prediction and reference are the same.", pointer="/reference")
    others = {name: value for name, value in named.items() if name != "prediction"}
    try:
        content = _Prediction.model_validate(named["prediction"]).content
    except ValidationError:
        raise BadParameters(
            'prediction: {"type": "content", "content": …} with a text or text parts is supported.',
            pointer="/prediction",
        ) from None
    text = content if isinstance(content, str) else "".join(part.text for part in content)
    return others | {"reference": text}


def _is_own(name: str) -> bool:
    return name in Submission.model_fields and name not in _SET_BY_CHAT | _ONLY_JOBS


def _is_known(name: str, value: Any) -> bool:
    """Tell whether a parameter may be named and changes nothing; raises BadParameters."""
    pointer = f"/{excerpt(name)}"
    if name in _ONLY_JOBS:
        raise BadParameters(
            f"{name}: a chat starts at once; use POST /v1/jobs to schedule a job.",
            pointer=pointer,
        )
    if name in _SET_BY_CHAT:
        raise BadParameters(
            f"{name}: in a chat, set it through the messages or OpenAI's parameter.",
            pointer=pointer,
        )
    if name not in _FIXED_VALUES:
        return False
    if value not in _FIXED_VALUES[name]:
        known = " or ".join(dump(value) for value in (None, *_FIXED_VALUES[name]))
        raise BadParameters(f"{name}: only {known} is supported.", pointer=pointer)
    return True


def _ignored(names: list[str]) -> str:
    shown = ", ".join(excerpt(name) for name in names[:_SHOWN_NAMES])
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f"Unknown parameters are ignored: {shown}{more}."


def answer_fields(
    name: str,
    tokens: int | None,
    own: OwnParameters,
    answer_max_tokens: int,
    *,
    thinks: bool = False,
) -> dict[str, Any]:
    """Return how long the answer of a chat may be, where it is not left to its preset.

    What a caller allows includes the thinking of a model that `thinks`.
    """
    if tokens is None:
        # a preset may know better than our default
        return {} if "preset" in own.values else {"max_new_tokens": _MAX_TOKENS}
    if tokens > answer_max_tokens:
        detail = f"{name}: {tokens} requested; the maximum is {answer_max_tokens}."
        own.tell("max_tokens_lowered", detail, f"/{name}")
    most = min(tokens, answer_max_tokens)
    total = {"max_total_tokens": own.values.get("max_total_tokens", most)} if thinks else {}
    return {"max_new_tokens": most} | total


def sampling_fields(asked: Any) -> dict[str, Any]:
    """Return our parameters of sampling: none if neither temperature nor top_p asks for it."""
    samples = asked.temperature is not None or asked.top_p is not None
    temperature = 1.0 if asked.temperature is None else asked.temperature
    top_p = 1.0 if asked.top_p is None else asked.top_p
    named = {name: getattr(asked, name) for name in _SAMPLING}
    fields = {name: value for name, value in named.items() if value is not None}
    if asked.seed is not None:
        fields["seed"] = asked.seed % 2**63
    if not samples:
        return fields
    if temperature == 0 or top_p == 0:
        return fields | {"do_sample": False}
    return fields | {"do_sample": True, "temperature": temperature, "top_p": top_p}

"""The parameters of an answer: how long it may be, how it is sampled and what form it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from shared.jobs.parameters.response_format import ResponseFormat


class Frozen(BaseModel):
    """Data of a job, which is not changed and has no unknown members."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _no_empty_stop(stop: tuple[str, ...]) -> tuple[str, ...]:
    if any(not s for s in stop):
        raise ValueError("a stop string must not be empty")
    return stop


#: Parameters that constrain the answer; at most one of them is set.
CONSTRAINTS = ("choices", "regex", "response_format")
#: Of any answer; `answer_max_tokens` may allow fewer.
MAX_NEW_TOKENS = 131_072
#: Of an answer that workers before version 5 of a row can give.
_OLD_MAX_NEW_TOKENS = 4096
MAX_STOPS = 8
MAX_CHOICES = 128
#: Of a text that the answer may follow.
MAX_REFERENCE_CHARS = 65_536
MaxNewTokens = Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS)]
ReasoningTokens = Annotated[int, Field(ge=0, le=MAX_NEW_TOKENS)]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
TopK = Annotated[int, Field(ge=-1, lt=2**31)]
MinP = Annotated[float, Field(ge=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
RepetitionPenalty = Annotated[float, Field(ge=0.1, le=10)]
#: Parameters that a checkpoint recommends values of.
SAMPLING = (
    *("temperature", "top_p", "top_k", "min_p"),
    *("presence_penalty", "frequency_penalty", "repetition_penalty"),
)
#: Members that came with a version of a row, and values of them that change nothing.
_ADDED_PARAMS: dict[int, dict[str, Any]] = {
    4: {
        "top_k": None,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "repetition_penalty": 1.0,
        "from_model": (),
    },
    5: {
        "min_p": 0.0,
        "enable_thinking": None,
        "max_reasoning_tokens": None,
        "max_total_tokens": None,
    },
}
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Choice = Annotated[str, Field(min_length=1, max_length=512)]
#: A probability below which characters are marked as uncertain.
Threshold = Annotated[float, Field(gt=0, lt=1)]


#: Longest answer to a question, and longest text of an image or tile that is read: more than such a
#: piece of a megapixel holds in print that a model can read.
ASK_TOKENS, READ_TOKENS = 512, 2048


class GenerationParams(Frozen):
    """How the model generates its answer."""

    max_new_tokens: MaxNewTokens = Field(ASK_TOKENS, description="Maximum number of new tokens.")
    enable_thinking: bool | None = Field(
        None,
        description="Whether the model thinks before it answers; by default as its checkpoint is "
        "made to. What it thinks is in `output.reasoning`.",
    )
    max_reasoning_tokens: ReasoningTokens | None = Field(
        None,
        description="Maximum number of tokens of the thinking, 2048 by default; then the thinking "
        "is closed and the answer follows. 0 turns it off.",
    )
    max_total_tokens: MaxNewTokens | None = Field(
        None,
        description="Maximum number of tokens of thinking and answer together: the thinking gets "
        "what `max_new_tokens` leaves of it, or half of it if that is more.",
    )
    do_sample: bool = Field(False, description="False always takes the most likely token.")
    temperature: Temperature = Field(0.3, description="Used when do_sample is true.")
    top_p: TopP = Field(0.9, description="Used when do_sample is true.")
    top_k: TopK | None = Field(
        None,
        description="Used when do_sample is true: words beyond the so many likeliest are not "
        "drawn; 0 and -1 are no bound.",
    )
    min_p: MinP = Field(
        0.0,
        description="Used when do_sample is true: words below this share of the likeliest one's "
        "probability are not drawn; 0 is no bound.",
    )
    presence_penalty: Penalty = Field(
        0.0, description="Taken from the logit of each token that the answer has already."
    )
    frequency_penalty: Penalty = Field(
        0.0, description="Taken from the logit of a token for each time that the answer has it."
    )
    repetition_penalty: RepetitionPenalty = Field(
        1.0, description="Divides the logits of tokens that question or answer have; 1 is none."
    )
    from_model: tuple[str, ...] = Field(
        (), description="Names of those above that the checkpoint may set, where it samples."
    )
    seed: Seed | None = Field(None, description="Random seed for reproducible sampling.")
    stop: Annotated[tuple[str, ...], AfterValidator(_no_empty_stop)] = Field(
        (),
        max_length=MAX_STOPS,
        description="The answer ends before the first of these strings.",
    )
    choices: tuple[Choice, ...] = Field(
        (),
        max_length=MAX_CHOICES,
        description="The answer is exactly one of these.",
    )
    regex: str | None = Field(
        None, min_length=1, max_length=1000, description="The whole answer must match it."
    )
    response_format: ResponseFormat | None = Field(
        None, description="`json_object`, or `json_schema` with a schema, as in OpenAI's API."
    )
    loop_guard: bool = Field(
        True, description="Cut the answer back to where it started to loop, and try again."
    )
    uncertain_below: Threshold | None = Field(
        None, description="Letters and digits with a lower probability become [?]."
    )
    line_confidence: bool = Field(
        False, description="Return the confidence of every line in `output.lines`."
    )

    @model_validator(mode="after")
    def _one_constraint_at_most(self) -> Self:
        names = self.constrained_by
        if len(names) > 1:
            raise ValueError(f"{' and '.join(names)} cannot be combined")
        if names and self.uncertain_below is not None:
            raise ValueError(f"uncertain_below cannot be combined with {names[0]}")
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what an older worker does not know and what changes nothing."""
        fields: dict[str, Any] = dump(self)
        unused = {name for added in _ADDED_PARAMS.values() for name in self._unused(added)}
        return {name: value for name, value in fields.items() if name not in unused}

    def _unused(self, added: Mapping[str, Any]) -> list[str]:
        """Return the names of those members that change nothing."""
        return [name for name, unused in added.items() if getattr(self, name) == unused]

    @property
    def row_version(self) -> int:
        """Return the first version of a row whose workers answer as these parameters ask."""
        if self.max_new_tokens > _OLD_MAX_NEW_TOKENS:
            return 5
        used = [
            version
            for version, added in _ADDED_PARAMS.items()
            if len(self._unused(added)) < len(added)
        ]
        return max(used, default=3)

    @property
    def may_think(self) -> bool:
        """Tell whether a model that thinks before it answers may do so."""
        return self.enable_thinking is not False and self.max_reasoning_tokens != 0

    @property
    def constrained_by(self) -> list[str]:
        """Return the names of the parameters that constrain the answer."""
        is_set = {
            "choices": bool(self.choices),
            "regex": self.regex is not None,
            "response_format": self.wants_json,
        }
        return [name for name in CONSTRAINTS if is_set[name]]

    @property
    def wants_json(self) -> bool:
        """Tell whether the answer is to be JSON."""
        return self.response_format is not None and self.response_format.type != "text"

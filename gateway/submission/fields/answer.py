"""What reads the images and how the answer is made: what an engine and the rules after it do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
)

from gateway.submission.fields.values import MAX_NAME_CHARS, as_list
from shared.catalog.rules import MAX_RULES
from shared.jobs import (
    MAX_CHOICES,
    MAX_REFERENCE_CHARS,
    MAX_STOPS,
    Boxes,
    Choice,
    GenerationParams,
    MaxNewTokens,
    MinP,
    Penalty,
    Reader,
    ReasoningTokens,
    RepetitionPenalty,
    Seed,
    Temperature,
    Threshold,
    TopK,
    TopP,
)
from shared.jobs.answers.review import ReviewRule
from shared.jobs.parameters.enhancement import Enhancement
from shared.jobs.parameters.response_format import ResponseFormat

MAX_STOP_CHARS = 256
#: What a parameter is where neither the request nor a preset names it.
_DEFAULTS = GenerationParams()
#: The parameters that a request may name.
_PARAMS = [name for name in GenerationParams.model_fields if name != "from_model"]


def _description(parameter: str) -> str | None:
    return GenerationParams.model_fields[parameter].description


class AnswerFields(BaseModel):
    """The answer that a submission asks for."""

    reader: Reader | None = Field(
        None,
        description="What reads the text: `model`; `second`, a small reader of print beside it, in "
        "Chinese and English; or `both`, the model's text with what the other reads differently. "
        "Default: `model`, but `second` while the bundled model runs and the preset reads. For "
        "`find`: `model` points at things, `second` looks among the text, `both` looks among the "
        "text and asks the model for what does not stand there; default: `both`, but `second` "
        "while the bundled model runs.",
    )
    boxes: Boxes = Field(
        "none",
        description="Whether `output.lines` has the places of what was read: `line` of each line "
        "and of each cell of a table, `word` of each word too. The second reader finds them, or "
        "the text layer of a page has them.",
    )
    evidence: bool = Field(
        False,
        description="Whether `output.evidence` tells of each value of a JSON answer if it is "
        "printed on the images or pages, and where: looked up among what the second reader or "
        "the text layer of a page has, never by asking the model.",
    )
    review: ReviewRule | None = Field(
        None,
        description="`output.review` lists what a person should look at: lines and fields less "
        "sure than `below`, and what could not be read. As an object, such as "
        '`{"below": 0.85}`. A JSON answer needs `evidence` for it.',
    )
    strict: bool = Field(
        False,
        description="Fail when a tile or page cannot be read, instead of leaving a gap; a chat "
        "then refuses what it would ignore or change with a warning.",
    )
    max_new_tokens: MaxNewTokens = Field(
        _DEFAULTS.max_new_tokens,
        validation_alias=AliasChoices("max_new_tokens", "max_tokens"),
        description="Maximum length of the answer, of each tile where text is read; `max_tokens` "
        "is an alias. Presets have their own defaults, and `tiling=read` has 2048.",
    )
    enable_thinking: bool | None = Field(
        _DEFAULTS.enable_thinking, description=_description("enable_thinking")
    )
    max_reasoning_tokens: ReasoningTokens | None = Field(
        _DEFAULTS.max_reasoning_tokens,
        validation_alias=AliasChoices("max_reasoning_tokens", "thinking_budget"),
        description=f"{_description('max_reasoning_tokens')} `thinking_budget` is an alias.",
    )
    max_total_tokens: MaxNewTokens | None = Field(
        _DEFAULTS.max_total_tokens, description=_description("max_total_tokens")
    )
    do_sample: bool = Field(
        _DEFAULTS.do_sample,
        description="Sample tokens instead of always taking the most likely one.",
    )
    temperature: Temperature = Field(
        _DEFAULTS.temperature, allow_inf_nan=False, description="Sampling temperature."
    )
    top_p: TopP = Field(
        _DEFAULTS.top_p,
        allow_inf_nan=False,
        description="Nucleus sampling: cumulative probability cut-off.",
    )
    top_k: TopK | None = Field(_DEFAULTS.top_k, description=_description("top_k"))
    min_p: MinP = Field(_DEFAULTS.min_p, allow_inf_nan=False, description=_description("min_p"))
    presence_penalty: Penalty = Field(
        _DEFAULTS.presence_penalty,
        allow_inf_nan=False,
        description=_description("presence_penalty"),
    )
    frequency_penalty: Penalty = Field(
        _DEFAULTS.frequency_penalty,
        allow_inf_nan=False,
        description=_description("frequency_penalty"),
    )
    repetition_penalty: RepetitionPenalty = Field(
        _DEFAULTS.repetition_penalty,
        allow_inf_nan=False,
        description=_description("repetition_penalty"),
    )
    seed: Seed | None = Field(_DEFAULTS.seed, description="Random seed for reproducible sampling.")
    stop: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]],
        BeforeValidator(as_list),
    ] = Field(
        default_factory=list,
        max_length=MAX_STOPS,
        description="The answer ends before the first of these.",
    )
    choices: Annotated[list[Choice], BeforeValidator(as_list)] = Field(
        default_factory=list,
        max_length=MAX_CHOICES,
        description=_description("choices"),
    )
    regex: str | None = Field(
        None, min_length=1, description="The whole answer must match it; RE2 syntax without `\\b`."
    )
    response_format: ResponseFormat | None = Field(
        None,
        description="`json_object`, or `json_schema` with a schema, as in OpenAI's API: the "
        "answer is JSON that conforms to it, parsed in `output.json`.",
    )
    loop_guard: bool = Field(_DEFAULTS.loop_guard, description=_description("loop_guard"))
    uncertain_below: Threshold | None = Field(
        _DEFAULTS.uncertain_below,
        allow_inf_nan=False,
        description="Letters and digits with a lower probability become `[?]`.",
    )
    line_confidence: bool = Field(
        _DEFAULTS.line_confidence, description=_description("line_confidence")
    )
    reference: str = Field(
        "",
        max_length=MAX_REFERENCE_CHARS,
        description="A text that the answer may follow, such as last year's text of a form or a "
        "draft: the answer comes faster where they agree, and is the same as without it.",
    )
    postprocess: Annotated[
        list[Annotated[str, Field(max_length=MAX_NAME_CHARS)]] | None, BeforeValidator(as_list)
    ] = Field(
        None,
        max_length=MAX_RULES,
        description="Rules to run on the answer, in this order, by names from `/v1/presets`: they "
        "clean `output.text` or fill `output.fields`. Overrides the preset's.",
    )
    enhance: Enhancement | None = Field(
        None,
        description="How images are improved before the model sees them: `auto` applies the steps "
        "that the image needs, a list applies those steps, `off` none. Reported in "
        "`warnings`. Overrides the preset's; `off` without a preset.",
    )

    #: Parameters that nobody named: they follow from the models that are served at the moment. And
    #: the effort that the caller named, from which they may follow.
    _from_fleet: frozenset[str] = PrivateAttr(frozenset())
    _effort: str | None = PrivateAttr(None)

    def params(self) -> GenerationParams:
        """Return the engine's parameters; raises ValidationError where they exclude each other."""
        return GenerationParams(**{name: getattr(self, name) for name in _PARAMS})

    def explicit_params(self) -> dict[str, Any]:
        """Return those parameters of the engine that the request names."""
        params = self.params()
        explicit = self.model_fields_set.intersection(_PARAMS)
        return {name: getattr(params, name) for name in sorted(explicit)}

    def leave_open(self, names: Iterable[str]) -> None:
        """Keep the values of these parameters only for a model that recommends no others."""
        self.model_fields_set.difference_update(names)

    @property
    def from_fleet(self) -> frozenset[str]:
        """Return the parameters that the models of the moment have set, and not the caller."""
        return self._from_fleet

    @property
    def effort(self) -> str | None:
        """Return how much the caller wants a model to think, by OpenAI's names."""
        return self._effort

    def note_from_fleet(self, names: Iterable[str], effort: str | None) -> None:
        """Note that these parameters follow from an effort and the models of the moment."""
        self._from_fleet, self._effort = frozenset(names), effort

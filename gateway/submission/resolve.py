"""What a submission asks for once its preset has filled in what it left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.submission.request import Submission
from shared.catalog.presets import Preset, detect_language
from shared.catalog.rules import RuleBook
from shared.errors import BadParameters
from shared.jobs import CONSTRAINTS, GenerationParams
from shared.jobs.enhancement import Enhancement
from shared.jobs.response_format import ANY_OBJECT, JsonSchema, ResponseFormat

#: Longest value of a field that a preset reads.
_MAX_FIELD_CHARS = 500
#: Parameters without any form and without marks.
_UNHELD = {
    name: GenerationParams.model_fields[name].default for name in (*CONSTRAINTS, "uncertain_below")
}


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """The words, parameters and rules that a worker needs; what was given explicitly has won."""

    prompt: str
    params: GenerationParams
    preset: str | None
    #: Names of rules, in their order.
    postprocess: tuple[str, ...]
    #: What is done to the images first.
    enhance: Enhancement
    #: It asks for the text of the image, which may be read part by part.
    reads: bool = False


def resolve(
    submission: Submission, presets: Mapping[str, Preset], rules: RuleBook
) -> ResolvedRequest:
    """Return what is asked; raises BadParameters for unknown names and for missing words."""
    _check_rules(submission, rules)
    if submission.preset is None:
        return _without_preset(submission)
    preset = presets.get(submission.preset)
    if preset is None:
        raise BadParameters(
            f"There is no preset {submission.preset!r}; known are {', '.join(presets)}.",
            pointer="/preset",
        )
    rules_asked = submission.postprocess
    params = _params(submission, preset)
    return ResolvedRequest(
        prompt=_words(submission, preset),
        params=params,
        reads=preset.reads and not params.constrained_by,
        preset=preset.name,
        postprocess=preset.postprocess if rules_asked is None else tuple(rules_asked),
        enhance=preset.enhance if submission.enhance is None else submission.enhance,
    )


def _without_preset(submission: Submission) -> ResolvedRequest:
    if submission.prompt is None:
        raise BadParameters("prompt: Field required.", pointer="/prompt")
    if submission.fields:
        raise _fields_unused("a preset that takes them, such as fields")
    return ResolvedRequest(
        prompt=submission.prompt,
        params=submission.params(),
        preset=None,
        postprocess=tuple(submission.postprocess or ()),
        enhance=submission.enhance or "off",
    )


def _params(submission: Submission, preset: Preset) -> GenerationParams:
    """Return the preset's parameters under those of the request.

    A form that the request asks for takes the place of the preset's, and of its `[?]`.
    """
    explicit = submission.explicit_params()
    params = preset.params
    if submission.params().constrained_by:
        params = params.model_copy(update=_UNHELD)
    elif submission.uncertain_below is not None:
        params = params.model_copy(update={name: _UNHELD[name] for name in CONSTRAINTS})
    elif submission.fields and params.response_format == ANY_OBJECT:
        explicit["response_format"] = _object_of(submission.fields)
    return params.model_copy(update=explicit)


def _object_of(names: Sequence[str]) -> ResponseFormat:
    """Return the form of an object that has exactly these members: strings or null."""
    value = {"anyOf": [{"type": "string", "maxLength": _MAX_FIELD_CHARS}, {"type": "null"}]}
    schema = {
        "type": "object",
        "properties": dict.fromkeys(names, value),
        "required": list(dict.fromkeys(names)),
        "additionalProperties": False,
    }
    return ResponseFormat(type="json_schema", json_schema=JsonSchema(name="fields", schema=schema))


def _words(submission: Submission, preset: Preset) -> str:
    own = submission.prompt
    replaced = own is not None and "prompt" not in preset.needs
    if "prompt" in preset.needs and own is None:
        raise BadParameters(f"The preset {preset.name} needs a prompt.", pointer="/prompt")
    if "fields" in preset.needs and not submission.fields and not replaced:
        raise BadParameters(
            f"The preset {preset.name} needs the names of the fields to read.", pointer="/fields"
        )
    if submission.fields and ("fields" not in preset.needs or replaced):
        raise _fields_unused("a prompt of the preset that takes them")
    language = submission.lang or detect_language(own or "", *submission.fields)
    return preset.render(language, own, submission.fields)


def _fields_unused(wanted: str) -> BadParameters:
    return BadParameters(f"fields has no effect without {wanted}.", pointer="/fields")


def _check_rules(submission: Submission, rules: RuleBook) -> None:
    names = submission.postprocess or []
    unknown = rules.find_unknown(names)
    if unknown is not None:
        known = ", ".join(rule.name for rule in rules.rules)
        raise BadParameters(
            f"There is no rule {unknown!r}; known are {known}.",
            pointer=f"/postprocess/{names.index(unknown)}",
        )

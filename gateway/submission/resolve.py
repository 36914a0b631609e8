"""Merges a preset into a submission: the prompt, parameters and rules of its job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.submission.fields.submission import Submission
from gateway.submission.searching import refuse_terms, search_terms
from shared.catalog.presets import Preset, detect_language
from shared.catalog.rules import RuleBook
from shared.errors import BadParameters
from shared.excerpt import excerpt
from shared.jobs import (
    CONSTRAINTS,
    MAX_NEW_TOKENS,
    READ_TOKENS,
    SAMPLING,
    GenerationParams,
    SearchTerms,
)
from shared.jobs.parameters.enhancement import Enhancement
from shared.jobs.parameters.response_format import ANY_OBJECT, JsonSchema, ResponseFormat

#: Longest value of a field that a preset reads.
_MAX_FIELD_CHARS = 500
#: Parameters without any constraint and without `[?]` marks.
_UNCONSTRAINED = {
    name: GenerationParams.model_fields[name].default for name in (*CONSTRAINTS, "uncertain_below")
}


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A submission with its preset merged in: the prompt, parameters and rules of its job.

    What the submission names explicitly wins over the preset.
    """

    submission: Submission
    prompt: str
    params: GenerationParams
    preset: str | None
    #: Names of rules, in their order.
    postprocess: tuple[str, ...]
    #: What is done to the images first.
    enhance: Enhancement
    #: It asks for the text of the images, which may be read tile by tile.
    reads: bool = False
    #: What is looked for instead of an answer.
    find: SearchTerms | None = None


def resolve(
    submission: Submission,
    presets: Mapping[str, Preset],
    rules: RuleBook,
    most_tokens: int = MAX_NEW_TOKENS,
) -> ResolvedRequest:
    """Merge the preset into a submission; raises BadParameters for unknown or missing names.

    What neither names is bounded by `most_tokens`, the longest answer of this service.
    """
    resolved = _with_line_confidence(_resolve(submission, presets, rules))
    params = resolved.params
    if params.max_new_tokens <= most_tokens:
        return resolved
    return replace(resolved, params=params.model_copy(update={"max_new_tokens": most_tokens}))


def _with_line_confidence(resolved: ResolvedRequest) -> ResolvedRequest:
    """Return it so that each line that a person may have to look at says how sure it is.

    Raises BadParameters where nothing would say so of the values of a JSON answer.
    """
    submission, params = resolved.submission, resolved.params
    # places say how sure they are by themselves
    if submission.review is None or resolved.find is not None:
        return resolved
    if not params.wants_json:
        return replace(resolved, params=params.model_copy(update={"line_confidence": True}))
    if not submission.evidence:
        raise BadParameters("review of a JSON answer needs evidence=true.", pointer="/review")
    return resolved


def _resolve(
    submission: Submission, presets: Mapping[str, Preset], rules: RuleBook
) -> ResolvedRequest:
    _check_rules(submission, rules)
    if submission.preset is None:
        return _resolve_without_preset(submission)
    preset = presets.get(submission.preset)
    if preset is None:
        raise BadParameters(
            f"Unknown preset {excerpt(submission.preset)!r}; available: {', '.join(presets)}.",
            pointer="/preset",
        )
    terms = search_terms(submission, preset)
    params = _leave_open(_resolve_params(submission, preset), submission, preset)
    postprocess = submission.postprocess
    return ResolvedRequest(
        submission=submission,
        prompt=_resolve_prompt(submission, preset, terms),
        params=params,
        reads=preset.finds or (preset.reads and not params.constrained_by),
        find=terms,
        preset=preset.name,
        postprocess=preset.postprocess if postprocess is None else tuple(postprocess),
        enhance=preset.enhance if submission.enhance is None else submission.enhance,
    )


def _resolve_without_preset(submission: Submission) -> ResolvedRequest:
    if submission.prompt is None:
        raise BadParameters("prompt: Field required.", pointer="/prompt")
    if submission.fields:
        raise _unused_fields_error("a preset that uses them, such as fields")
    refuse_terms(submission)
    params = submission.params()
    if submission.tiling == "read" and "max_new_tokens" not in submission.model_fields_set:
        params = params.model_copy(update={"max_new_tokens": READ_TOKENS})
    return ResolvedRequest(
        submission=submission,
        prompt=submission.prompt,
        params=_leave_open(params, submission),
        preset=None,
        postprocess=tuple(submission.postprocess or ()),
        enhance=submission.enhance or "off",
    )


def _resolve_params(submission: Submission, preset: Preset) -> GenerationParams:
    """Return the preset's parameters under those of the request.

    A constraint that the request names replaces the preset's, and its `[?]` marks.
    """
    explicit = submission.explicit_params()
    params = preset.params
    if submission.params().constrained_by:
        params = params.model_copy(update=_UNCONSTRAINED)
    elif submission.uncertain_below is not None:
        params = params.model_copy(update={name: _UNCONSTRAINED[name] for name in CONSTRAINTS})
    elif submission.fields and params.response_format == ANY_OBJECT:
        explicit["response_format"] = _fields_format(submission.fields)
    return params.model_copy(update=explicit)


def _leave_open(
    params: GenerationParams, submission: Submission, preset: Preset | None = None
) -> GenerationParams:
    """Return parameters of sampling that the model sets where nobody names them."""
    if not params.do_sample:
        return params
    named = submission.model_fields_set | (preset.params.model_fields_set if preset else set())
    return params.model_copy(
        update={"from_model": tuple(name for name in SAMPLING if name not in named)}
    )


def _fields_format(names: Sequence[str]) -> ResponseFormat:
    """Return the schema of an object with exactly these members, each a string or null."""
    value = {"anyOf": [{"type": "string", "maxLength": _MAX_FIELD_CHARS}, {"type": "null"}]}
    schema = {
        "type": "object",
        "properties": dict.fromkeys(names, value),
        "required": list(dict.fromkeys(names)),
        "additionalProperties": False,
    }
    return ResponseFormat(type="json_schema", json_schema=JsonSchema(name="fields", schema=schema))


def _resolve_prompt(submission: Submission, preset: Preset, terms: SearchTerms | None) -> str:
    """Return the preset's prompt, filled in, or the submission's in place of it."""
    if terms is not None:
        return preset.render(terms.language, None, (), terms.labels)
    prompt = submission.prompt
    replaced = prompt is not None and "prompt" not in preset.needs
    if "prompt" in preset.needs and prompt is None:
        raise BadParameters(f"The preset {preset.name} needs a prompt.", pointer="/prompt")
    if "fields" in preset.needs and not submission.fields and not replaced:
        raise BadParameters(
            f"The preset {preset.name} needs `fields`: the names to read.", pointer="/fields"
        )
    if submission.fields and ("fields" not in preset.needs or replaced):
        raise _unused_fields_error("a preset's prompt that uses them")
    language = submission.lang or detect_language(prompt or "", *submission.fields)
    return preset.render(language, prompt, submission.fields)


def _unused_fields_error(missing: str) -> BadParameters:
    return BadParameters(f"fields has no effect without {missing}.", pointer="/fields")


def _check_rules(submission: Submission, rules: RuleBook) -> None:
    names = submission.postprocess or []
    unknown = rules.find_unknown(names)
    if unknown is not None:
        known = ", ".join(rule.name for rule in rules.rules)
        raise BadParameters(
            f"Unknown rule {excerpt(unknown)!r}; available: {known}.",
            pointer=f"/postprocess/{names.index(unknown)}",
        )

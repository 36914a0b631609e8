"""What a request looks for: its labels or its phrase, with a preset that finds."""

from __future__ import annotations

from gateway.submission.fields.submission import Submission
from shared.catalog.presets import Preset, detect_language
from shared.errors import BadParameters
from shared.jobs import CONSTRAINTS, SearchTerms

#: Parameters that say what to look for.
_TERMS = ("labels", "phrase", "fuzzy")
#: Parameters of other answers: places have one form.
_UNUSED = (
    *("prompt", "fields", *CONSTRAINTS, "stop", "uncertain_below", "line_confidence"),
    *("reference", "postprocess", "boxes", "evidence"),
)


def search_terms(submission: Submission, preset: Preset) -> SearchTerms | None:
    """Return what a request looks for; None with a preset that does not find.

    Raises BadParameters.
    """
    if not preset.finds:
        refuse_terms(submission)
        return None
    for name in _UNUSED:
        if _is_set(submission, name):
            raise BadParameters(
                f"{name} has no effect on the preset {preset.name}, which answers with places.",
                pointer=f"/{name}",
            )
    if submission.tiling == "ask":
        raise BadParameters(
            f"The preset {preset.name} searches each tile by itself: tiling=ask has no effect.",
            pointer="/tiling",
        )
    labels = _labels(submission, preset)
    language = submission.lang or detect_language(*labels)
    return SearchTerms(labels=labels, fuzzy=submission.fuzzy, language=language)


def _labels(submission: Submission, preset: Preset) -> tuple[str, ...]:
    if submission.labels and submission.phrase is not None:
        raise BadParameters("Name either labels or a phrase, not both.", pointer="/phrase")
    if submission.phrase is not None:
        return (submission.phrase,)
    if not submission.labels:
        raise BadParameters(
            f"The preset {preset.name} needs `labels` or a `phrase`: what to look for.",
            pointer="/labels",
        )
    return tuple(dict.fromkeys(submission.labels))


def refuse_terms(submission: Submission) -> None:
    """Raise BadParameters where a request says what to look for, and nothing looks."""
    for name in _TERMS:
        if _is_set(submission, name):
            raise BadParameters(
                f"{name} has no effect without a preset that looks for things, such as find.",
                pointer=f"/{name}",
            )


def _is_set(submission: Submission, name: str) -> bool:
    """Tell whether a request names a parameter with a value that means something."""
    value = getattr(submission, name)
    return name in submission.model_fields_set and value not in (None, False, "", "none", [], ())

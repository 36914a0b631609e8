"""The notices of an answer that was cut off or that repeated itself."""

from __future__ import annotations

from shared.jobs import GenerationParams, Notice
from worker.engine.api import UNFINISHED

#: The answer repeated itself, and was taken back to before that.
REPEATED = "answer_repeated"


def unfinished_notice(params: GenerationParams) -> Notice:
    """Return the notice for a constrained answer that was cut off."""
    field = params.constrained_by[0]
    return Notice(code=UNFINISHED, detail=f"The answer was cut off before it satisfied {field}.")


def repeated_notice(characters: int, *, again: bool) -> Notice:
    """Return the notice for an answer that was taken back to its first `characters`."""
    outcome = "also repeated itself" if again else "continued normally"
    detail = (
        f"The answer repeated itself and was cut back to its first {characters} characters; "
        f"a second try from there, with different sampling, {outcome}."
    )
    return Notice(code=REPEATED, detail=detail)

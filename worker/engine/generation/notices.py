"""What callers are told of the way that an answer came about."""

from __future__ import annotations

from shared.jobs import GenerationParams, Notice

#: The answer was cut off before it had the form that was asked for.
UNFINISHED = "answer_unfinished"
REPEATED = "answer_repeated"


def unfinished(params: GenerationParams) -> Notice:
    """Return the notice for a constrained answer that was cut off."""
    asked = params.constrained_by[0]
    return Notice(code=UNFINISHED, detail=f"The answer was cut off before it satisfied {asked}.")


def repeated(characters: int, *, again: bool) -> Notice:
    """Return the notice for an answer that was taken back to its first `characters`."""
    went = "also repeated itself" if again else "continued normally"
    detail = (
        f"The answer repeated itself and was cut back to its first {characters} characters; "
        f"a second try from there, with different sampling, {went}."
    )
    return Notice(code=REPEATED, detail=detail)

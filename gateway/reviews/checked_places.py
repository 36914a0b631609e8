"""Which places of an answer people have corrected or seen to be right, to be drawn as such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.reviews.correcting import correct_output
from shared.jobs.answers.review import Review

#: What of an output has places of its own, and the member of it that says what is there.
_SAID = {"lines": "text", "objects": "label"}


class CheckedPlaces(NamedTuple):
    """An output as people have corrected it, and how many corrections its places show."""

    output: dict[str, Any]
    shown: int


def mark_checked(output: Mapping[str, Any], review: Review) -> CheckedPlaces:
    """Return an output with its corrections, in which each line and object tells of its review.

    One that someone has corrected or confirmed has `checked`, and a corrected one what was read
    there as `before`.
    """
    corrected = correct_output(output, review.corrections)
    confirmed = {one.pointer for one in review.confirmed}
    marked = dict(corrected.output)
    for name, said in _SAID.items():
        if marked.get(name):
            marked[name] = _mark(name, said, output[name], marked[name], confirmed)
    objects = [at for at in corrected.shown["output"] if at.startswith("/objects/")]
    return CheckedPlaces(marked, len(corrected.shown["lines"]) + len(objects))


def _mark(
    name: str,
    said: str,
    old: Sequence[Mapping[str, Any]],
    new: Sequence[Mapping[str, Any]],
    confirmed: set[str],
) -> list[dict[str, Any]]:
    marked = []
    for number, (before, after) in enumerate(zip(old, new, strict=True)):
        place = f"/{name}/{number}"
        one = dict(after)
        if after != before:
            one |= {"checked": True, "before": before[said]}
        elif confirmed & {place, f"{place}/{said}"}:
            one["checked"] = True
        marked.append(one)
    return marked

"""Checks what a reviewer says against the answer that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from gateway.schemas.jobs.reviews import CorrectionEntry, ReviewRequest
from shared.errors import BadReview
from shared.excerpt import excerpt
from shared.jobs.answers.review import (
    MOST_BYTES,
    MOST_STATEMENTS,
    Confirmation,
    Correction,
    Review,
    Statement,
)
from shared.jobs.row import JobRow
from shared.json_pointer import follow, split_pointer
from shared.slow_json import exceeds

_N = "[0-9]+"
#: Places of an output where a text may be corrected.
_TEXTS = re.compile(
    rf"/text|/(lines|pages|images|tiles)/{_N}/text|/lines/{_N}/(words|cells)/{_N}/text"
    rf"|/objects/{_N}/label|/fields/[^/]+/{_N}"
)
_VALUES = re.compile(r"/json(/.*)?", re.DOTALL)
_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def add_statements(row: JobRow, request: ReviewRequest, said: Statement) -> Review:
    """Return the review of a job with what a request adds to it; raises BadReview."""
    if not request.corrections and not request.confirmed:
        raise BadReview("Send at least one correction or confirmation.")
    output = row.output or {}
    review = row.review.with_statements(
        list(_corrections(output, request, said)), list(_confirmations(output, request, said))
    )
    _check_size(review)
    return review


def _corrections(
    output: dict[str, Any], request: ReviewRequest, said: Statement
) -> Iterator[Correction]:
    for number, entry in enumerate(request.corrections):
        place = f"/corrections/{number}"
        before = _find(output, entry.pointer, f"{place}/pointer")
        _check_value(entry, before, place)
        fields = said.model_dump() | {"pointer": entry.pointer, "value": entry.value}
        yield Correction(before=before, **fields)


def _confirmations(
    output: dict[str, Any], request: ReviewRequest, said: Statement
) -> Iterator[Confirmation]:
    for number, pointer in enumerate(request.confirmed):
        _find(output, pointer, f"/confirmed/{number}")
        yield Confirmation(pointer=pointer, **said.model_dump())


def _find(output: dict[str, Any], pointer: str, place: str) -> Any:
    """Return what stands at a pointer; raises BadReview."""
    try:
        return follow(output, split_pointer(pointer))
    except ValueError as error:
        raise BadReview(
            f"{excerpt(pointer)!r} is not a JSON pointer: {error}.", pointer=place
        ) from None
    except LookupError:
        raise BadReview(
            f"{excerpt(pointer)!r} does not exist in the output.", pointer=place
        ) from None


def _check_value(entry: CorrectionEntry, before: Any, place: str) -> None:
    """Raise BadReview for a value that cannot stand there."""
    pointer = entry.pointer
    kind: Literal["text", "value"] = "text" if _TEXTS.fullmatch(pointer) else "value"
    if kind == "value" and not _VALUES.fullmatch(pointer):
        raise BadReview(
            f"{excerpt(pointer)!r} is not a text or value that can be corrected.",
            pointer=f"{place}/pointer",
        )
    expected = "a text" if kind == "text" else _kind_of(before)
    fits = _kind_of(entry.value) in (expected, "null" if kind == "value" else expected)
    if not fits and not (kind == "value" and before is None):
        raise BadReview(
            f"{excerpt(pointer)!r} is {expected}, and the value is {_kind_of(entry.value)}.",
            pointer=f"{place}/value",
        )
    if exceeds(entry.value, MOST_BYTES):
        raise BadReview("The value is too long.", pointer=f"{place}/value")


def _kind_of(value: Any) -> str:
    return _KINDS.get(type(value), "null")


def _check_size(review: Review) -> None:
    count = len(review.corrections) + len(review.confirmed)
    if count > MOST_STATEMENTS:
        raise BadReview(
            f"{count} corrections and confirmations; a job can have at most {MOST_STATEMENTS}."
        )
    size = len(review.model_dump_json().encode("utf-8", "replace"))
    if size > MOST_BYTES:
        raise BadReview(f"The corrections have {size} bytes; the limit is {MOST_BYTES}.")

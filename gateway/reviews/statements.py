"""Checks what a reviewer says against the answer that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.reviews.schema_kinds import is_of_kind, kinds_at
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
#: What a schema calls a kind of values, and what people do.
_NAMES = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def add_statements(row: JobRow, request: ReviewRequest, said: Statement) -> Review:
    """Return the review of a job with what a request adds to it; raises BadReview."""
    if not request.corrections and not request.confirmed:
        raise BadReview("Send at least one correction or confirmation.")
    output = row.output or {}
    review = row.review.with_statements(
        list(_corrections(row, request, said)), list(_confirmations(output, request, said))
    )
    _check_size(review)
    return review


def _corrections(row: JobRow, request: ReviewRequest, said: Statement) -> Iterator[Correction]:
    for number, entry in enumerate(request.corrections):
        place = f"/corrections/{number}"
        before = _find(row.output or {}, entry.pointer, f"{place}/pointer")
        _check_value(entry, before, _schema_of(row), place)
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


def _schema_of(row: JobRow) -> Mapping[str, Any]:
    """Return the JSON schema of the answer; empty where it has none."""
    form = row.input.params.response_format
    return form.json_schema.schema_ if form and form.json_schema else {}


def _check_value(
    entry: CorrectionEntry, before: Any, schema: Mapping[str, Any], place: str
) -> None:
    """Raise BadReview for a value that cannot stand there."""
    pointer = entry.pointer
    if _TEXTS.fullmatch(pointer):
        expected = ["string"]
    elif _VALUES.fullmatch(pointer):
        expected = _kinds_of_value(split_pointer(pointer)[1:], before, schema)
    else:
        raise BadReview(
            f"{excerpt(pointer)!r} is not a text or value that can be corrected.",
            pointer=f"{place}/pointer",
        )
    if expected and not any(is_of_kind(entry.value, kind) for kind in expected):
        kinds = " or ".join(_NAMES[kind] for kind in expected if kind != "null")
        raise BadReview(
            f"{excerpt(pointer)!r} is {kinds}, and the value is {_name_of(entry.value)}.",
            pointer=f"{place}/value",
        )
    if exceeds(entry.value, MOST_BYTES):
        raise BadReview("The value is too long.", pointer=f"{place}/value")


def _kinds_of_value(parts: list[str], before: Any, schema: Mapping[str, Any]) -> list[str]:
    """Return the kinds that may stand at a place of a JSON answer; empty where any may.

    What is not there is null, whatever the schema says.
    """
    by_schema = {kind for kind in kinds_at(schema, parts) if kind in _NAMES} - {"null"}
    if by_schema:
        return [*sorted(by_schema), "null"]
    if before is None:
        return []
    kinds = [kind for kind in _NAMES if is_of_kind(before, kind)]
    # a whole number may be corrected to any other
    return [kinds[-1], "null"]


def _name_of(value: Any) -> str:
    return next(name for kind, name in _NAMES.items() if is_of_kind(value, kind))


def _check_size(review: Review) -> None:
    count = len(review.corrections) + len(review.confirmed)
    if count > MOST_STATEMENTS:
        raise BadReview(
            f"{count} corrections and confirmations; a job can have at most {MOST_STATEMENTS}."
        )
    size = len(review.model_dump_json().encode("utf-8", "replace"))
    if size > MOST_BYTES:
        raise BadReview(f"The corrections have {size} bytes; the limit is {MOST_BYTES}.")

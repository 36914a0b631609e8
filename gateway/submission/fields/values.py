"""The forms of values that several fields have."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

#: Of a preset or a rule.
MAX_NAME_CHARS = 128
#: The most that `images_per_request` may be set to.
MAX_FILES = 64


def _check_page(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int):
        # pydantic turns a ValueError alone into a refusal
        raise ValueError('must be a number or a range such as "1-3"')  # noqa: TRY004
    return value


#: A page, or a range of pages.
PageName = Annotated[
    Annotated[str, Field(max_length=10_000)] | Annotated[int, Field(strict=True)],
    BeforeValidator(_check_page),
]


def as_list(value: Any) -> Any:
    """Return one value as a list of it, anything else as it is."""
    return [value] if isinstance(value, str | int) else value

"""The forms of values that several fields have."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

#: Of a preset or a rule.
MAX_NAME_CHARS = 128
#: The most that `images_per_request` may be set to.
MAX_FILES = 64
#: A page, or a range of pages. Strict: true is no page.
PageName = Annotated[str, Field(max_length=10_000)] | Annotated[int, Field(strict=True)]


def as_list(value: Any) -> Any:
    """Return one value as a list of it, anything else as it is."""
    return [value] if isinstance(value, str | int) else value

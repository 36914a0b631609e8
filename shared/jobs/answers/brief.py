"""The beginning of a long answer: lists show it instead of all that a job has read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.jobs.row import dump

#: Characters of an output as JSON above which lists have its beginning, and those of that.
WHOLE_CHARS = 64 << 10
TEXT_CHARS = 1000
_LEFT_OUT = ("json", "lines", "tiles", "pages", "images")
#: Members that an output may not have at all.
_UNNAMED = ("evidence", "objects", "review", "reasoning")


def make_brief(output: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return an output with the beginning of its text alone; None for one that is short."""
    if len(dump(output)) <= WHOLE_CHARS:
        return None
    parts = dict.fromkeys(_LEFT_OUT)
    kept = {name: part for name, part in output.items() if name not in _UNNAMED}
    text = output["text"][:TEXT_CHARS]
    return {**kept, **parts, "text": text, "fields": {}, "shortened": True}

"""The places of what a job has looked for, as a table in Markdown behind its sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.results.words import Language, say

_EDGES = ("left", "top", "right", "bottom")
_COLUMNS = ("label", "image", "page", *_EDGES, "confidence", "source", "text")


def with_object_table(output: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """Return an output whose text has the table of its objects, where it has any."""
    objects = output.get("objects")
    if not objects:
        return dict(output)
    columns = [name for name in _COLUMNS if name in _EDGES or _has_any(objects, name)]
    rows = [[say(f"object_{name}", language) for name in columns], ["---"] * len(columns)]
    rows += [[_cell(one, name) for name in columns] for one in objects]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return {**output, "text": f"{output['text']}\n\n{table}"}


def _has_any(objects: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(one.get(name) is not None for one in objects)


def _cell(one: Mapping[str, Any], name: str) -> str:
    value = one["box"][_EDGES.index(name)] if name in _EDGES else one.get(name)
    if value is None:
        return ""
    if name == "image":
        # people count from 1
        return str(value + 1)
    return " ".join(str(value).replace("\\", "\\\\").replace("|", "\\|").split())

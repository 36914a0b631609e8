"""A page of a list as OpenAI's clients walk through it."""

from __future__ import annotations

from typing import Any


def page_view(data: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    """Return a page of objects with ids."""
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }

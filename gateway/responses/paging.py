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


def page_of(items: list[dict[str, Any]], after: str | None, limit: int) -> dict[str, Any]:
    """Return the page of these items behind the one of id `after`; the first if it is unknown."""
    ids = [item["id"] for item in items]
    begin = ids.index(after) + 1 if after in ids else 0
    page = items[begin : begin + limit]
    return page_view(page, more=begin + len(page) < len(items))

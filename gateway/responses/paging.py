"""A page of a list as OpenAI's clients walk through it."""

from __future__ import annotations

from typing import Any

from shared.errors import BadParameters


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
    """Return the page of these items behind the one of id `after`; raises BadParameters without it.

    To begin again would bring whoever walks through a list the same items without end.
    """
    ids = [item["id"] for item in items]
    if after is not None and after not in ids:
        raise BadParameters(f"after: no item of this list is {after!r}.", pointer="/after")
    begin = 0 if after is None else ids.index(after) + 1
    page = items[begin : begin + limit]
    return page_view(page, more=begin + len(page) < len(items))

"""Joins the members of a JSON object, each of which may be there once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from shared.excerpt import excerpt


def join_members(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these members; raises ValueError if a name is repeated.

    Parsers disagree about which of two values counts, so that neither may be taken silently.
    """
    joined = dict(members)
    if len(joined) < len(members):
        counts = Counter(name for name, _ in members)
        repeated = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"the member {excerpt(repeated)!r} is given more than once")
    return joined

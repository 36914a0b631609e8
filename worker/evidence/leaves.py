"""The values of an answer, one by one, and what belongs together among them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is neither a list nor an object."""

    path: Path
    value: Any
    #: Of a value in an entry of a list: that entry, and its content as text.
    entry: Path | None = None
    content: str = ""

    @property
    def pointer(self) -> str:
        """Return its JSON pointer."""
        return "".join(f"/{_escape(str(part))}" for part in self.path)

    @property
    def name(self) -> str:
        """Return the name of the field that it is a value of."""
        return next((part for part in reversed(self.path) if isinstance(part, str)), "")


def leaves_of(value: Any) -> Iterator[Leaf]:
    """Yield the values of an answer in order; null says that there is none."""
    yield from _walk(value, (), None, "")


def _walk(value: Any, path: Path, entry: Path | None, content: str) -> Iterator[Leaf]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _walk(member, (*path, name), entry, content)
    elif isinstance(value, list):
        for number, member in enumerate(value):
            within = (*path, number)
            whole = json.dumps(member, sort_keys=True, ensure_ascii=False)
            yield from _walk(member, within, within, whole)
    elif value is not None:
        yield Leaf(path, value, entry, content)


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")

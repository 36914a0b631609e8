"""Which messages of a conversation go first where not all of them fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class AnyMessage(Protocol):
    """A message of a conversation."""

    @property
    def role(self) -> str:
        """Return who says it."""

    @property
    def text(self) -> str:
        """Return its words."""


M = TypeVar("M", bound=AnyMessage)


def drop_oldest_question(messages: Sequence[M], share: float = 0.0) -> list[M] | None:
    """Return the messages without the oldest question and its answer; None if there is none.

    More questions go as long as `share` of the characters is not exceeded. Messages of the system
    stay.
    """
    kept, dropped_chars = list(messages), 0
    most = share * sum(len(message.text) for message in messages)
    while gone := _oldest_question(kept):
        dropped_chars += sum(len(kept[at].text) for at in gone)
        if len(kept) < len(messages) and dropped_chars > most:
            break
        kept = [message for at, message in enumerate(kept) if at not in gone]
    return kept if len(kept) < len(messages) else None


def _oldest_question(messages: Sequence[AnyMessage]) -> set[int]:
    """Return the places of the oldest question and of what was answered to it."""
    places: set[int] = set()
    for at, message in enumerate(messages):
        if message.role == "user" and places:
            break
        if message.role != "system":
            places.add(at)
    return places

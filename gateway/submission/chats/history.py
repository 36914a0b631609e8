"""How much of a chat's earlier messages is kept: in proportion to what a model reads at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from shared.errors import BadParameters, InputTooLong
from shared.prediction.heartbeat import Heartbeat
from shared.settings import Settings

#: Tokens of the smallest model that is expected, while no worker is up.
_CONTEXT_TOKENS = 32_768
#: More characters than this are never in a token, on average; an image has more tokens than that.
_CHARS_PER_TOKEN, _TOKENS_PER_IMAGE = 4, 256
#: Whatever the model: a row of a job holds the texts, and each image is decoded.
_MOST_CHARS, _MOST_IMAGES = 262_144, 64


class AnyTurn(Protocol):
    """A message of a chat."""

    @property
    def role(self) -> Literal["system", "user", "assistant"]:
        """Return who says it."""

    @property
    def text(self) -> str:
        """Return its words."""

    @property
    def images(self) -> Sequence[object]:
        """Return what it shows."""


T = TypeVar("T", bound=AnyTurn)


@dataclass(frozen=True, slots=True)
class ChatRoom:
    """How much a chat may have altogether."""

    characters: int
    images: int

    @classmethod
    def of(cls, settings: Settings, workers: Sequence[Heartbeat]) -> ChatRoom:
        """Return the room that the widest model of these workers has."""
        context = max((worker.context_tokens for worker in workers), default=0) or _CONTEXT_TOKENS
        characters = max(settings.prompt_max_chars, context * _CHARS_PER_TOKEN)
        images = max(settings.images_per_request, context // _TOKENS_PER_IMAGE)
        return cls(min(_MOST_CHARS, characters), min(_MOST_IMAGES, images))

    def holds(self, turns: Sequence[AnyTurn]) -> bool:
        """Tell whether these messages fit."""
        return (
            sum(len(turn.text) for turn in turns) <= self.characters
            and sum(len(turn.images) for turn in turns) <= self.images
        )


def check_last_turn(turn: AnyTurn, settings: Settings, pointer: str) -> None:
    """Raise BadParameters or InputTooLong if the question itself cannot be taken."""
    if turn.role != "user":
        raise BadParameters("The last message must be of the role user.", pointer=pointer)
    if len(turn.images) > settings.images_per_request:
        raise BadParameters(
            f"The last message has {len(turn.images)} images; "
            f"at most {settings.images_per_request} are taken.",
            pointer=pointer,
        )
    if len(turn.text) > settings.prompt_max_chars:
        raise InputTooLong(
            f"Input too long: the last message has {len(turn.text)} characters; "
            f"at most {settings.prompt_max_chars} are taken.",
            pointer=pointer,
        )


def keep_latest(turns: Sequence[T], room: ChatRoom, pointer: str) -> tuple[list[T], int]:
    """Return the messages that there is room for, and how many older ones are left out.

    The last one and those of the system stay. Raises InputTooLong where these alone have no room.
    """
    kept = [at for at, turn in enumerate(turns) if turn.role == "system" or at == len(turns) - 1]
    if not room.holds([turns[at] for at in kept]):
        characters = sum(len(turns[at].text) for at in kept)
        raise InputTooLong(
            f"Input too long: the last message and those of the system have {characters} "
            f"characters; at most {room.characters} are taken.",
            pointer=pointer,
        )
    characters = room.characters - sum(len(turns[at].text) for at in kept)
    images = room.images - sum(len(turns[at].images) for at in kept)
    for at in reversed(range(len(turns) - 1)):
        turn = turns[at]
        if turn.role == "system":
            continue
        characters -= len(turn.text)
        images -= len(turn.images)
        if characters < 0 or images < 0:
            break
        kept.append(at)
    kept = _begin_with_question(turns, sorted(kept))
    return [turns[at] for at in kept], len(turns) - len(kept)


def _begin_with_question(turns: Sequence[AnyTurn], kept: list[int]) -> list[int]:
    """Leave out answers whose question is left out."""
    if len(kept) == len(turns):
        return kept
    first = next(at for at in kept if turns[at].role == "user")
    return [at for at in kept if at >= first or turns[at].role == "system"]


def history_notice(dropped: int) -> dict[str, str]:
    """Return the notice of earlier messages that were left out."""
    messages = "message was" if dropped == 1 else "messages were"
    detail = f"The oldest {dropped} {messages} left out to fit the context window."
    return {"code": "history_dropped", "detail": detail}

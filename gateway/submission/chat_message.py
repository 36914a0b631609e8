"""A message of OpenAI's chat request: its parts, as one text with places for its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import BaseModel, BeforeValidator, Field
from pydantic import model_validator as check

from shared.jobs import DETAIL_PIXELS, ImagePlaces

Role = Literal["system", "user", "assistant"]


def _as_parts(value: Any) -> Any:
    if value is None:
        return []
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


def _as_url(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


def _known_detail(value: Any) -> Any:
    """Return a name of a pixel budget; what is unknown is left to us."""
    return value if isinstance(value, str) and value in DETAIL_PIXELS else "auto"


class ChatImage(BaseModel):
    """An image's location and pixel budget."""

    url: str = Field(min_length=1, description="A data: URI, an http(s) URL or an `img_…` id.")
    detail: Annotated[Literal["auto", "low", "high"], BeforeValidator(_known_detail)] = Field(
        "auto", description="Pixel budget by name; null and other names are `auto`."
    )


class ChatPart(BaseModel):
    """A part of a message."""

    type: Literal["text", "image_url", "refusal"]
    text: str | None = None
    image_url: Annotated[ChatImage | None, BeforeValidator(_as_url)] = None
    refusal: str | None = None

    @check(mode="after")
    def _has_what_it_names(self) -> Self:
        if getattr(self, self.type) is None:
            raise ValueError(f"a part of type {self.type} needs {self.type}")
        return self

    @property
    def words(self) -> str | None:
        """Return its text; None for an image."""
        return self.refusal if self.type == "refusal" else self.text

    @property
    def image(self) -> ChatImage | None:
        """Return its image."""
        return self.image_url

    @property
    def pointer(self) -> str:
        """Return where it names its image."""
        return "image_url/url"


class MessagePart(Protocol):
    """A part of a message in any form: a text or an image."""

    @property
    def words(self) -> str | None:
        """Return its text; None for an image."""

    @property
    def image(self) -> ChatImage | None:
        """Return its image."""

    @property
    def pointer(self) -> str:
        """Return where it names its image, below the part."""


class ChatMessage(BaseModel):
    """One message; other members of OpenAI's messages are ignored."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[list[ChatPart], BeforeValidator(_as_parts)] = Field(
        default_factory=list,
        description="Text, or text and image parts in the order in which the model reads them. "
        "Only an answer of the assistant may be null.",
    )
    tool_calls: list[Any] | None = Field(None, max_length=0)

    @check(mode="after")
    def _only_users_show_images(self) -> Self:
        if self.role != "user" and any(part.image_url for part in self.content):
            raise ValueError("only messages with the role user can have images")
        if self.role != "assistant" and not self.content:
            raise ValueError("content: Field required")
        return self


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image as a message names it, and where it does."""

    text: str
    pointer: str


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """A message as the engine knows it; its images are not read yet."""

    role: Role
    text: str
    images: tuple[NamedImage, ...]
    max_pixels: int
    image_places: ImagePlaces = ()


def make_turn(
    role: str, parts: Sequence[MessagePart], where: str, max_pixels: int | None
) -> ChatTurn:
    """Return a message as the engine knows it, whose parts lie below the pointer `where`.

    `max_pixels` overrides the details of its images.
    """
    text, places = _lay_out(parts)
    shown = [(at, part, part.image) for at, part in enumerate(parts) if part.image]
    if max_pixels is None:
        budgets = [DETAIL_PIXELS[image.detail] for _, _, image in shown]
        max_pixels = max(budgets, default=DETAIL_PIXELS["auto"])
    images = tuple(
        NamedImage(image.url, f"{where}/content/{at}/{part.pointer}") for at, part, image in shown
    )
    known_role: Role = "system" if role in ("system", "developer") else role  # type: ignore[assignment]
    return ChatTurn(known_role, text, images, max_pixels, places)


def _lay_out(parts: Sequence[MessagePart]) -> tuple[str, ImagePlaces]:
    """Return the text of all parts, with a line break between two, and the places of the images."""
    text, places = "", []
    for part in parts:
        if part.words is None:
            places.append(len(text))
        else:
            text += ("\n" if text else "") + part.words
    return text, tuple(places) if any(places) else ()

"""A message of OpenAI's chat request: its parts, as one text with places for its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import BaseModel, BeforeValidator, Field, field_validator
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


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image or a file as a message names it, and where it does."""

    text: str
    pointer: str


class ChatImage(BaseModel):
    """An image's location and pixel budget."""

    url: str = Field(
        min_length=1, description="A data: URI, an http(s) URL, an `img_…` or a `file-…` ID."
    )
    detail: Annotated[Literal["auto", "low", "high"], BeforeValidator(_known_detail)] = Field(
        "auto", description="Pixel budget by name; null and other names are `auto`."
    )


class ChatFile(BaseModel):
    """A document or an image: its content, or the ID under which it was uploaded."""

    file_data: str | None = Field(
        None, min_length=1, description="A data: URI, base64 or an http(s) URL."
    )
    file_id: str | None = Field(
        None,
        pattern="^(doc_|img_|file-)",
        description="The ID of an uploaded document, image or file: `doc_…`, `img_…`, `file-…`.",
    )
    filename: str | None = Field(None, description="Not needed: the content tells the format.")

    @check(mode="after")
    def _has_one_source(self) -> Self:
        if (self.file_data is None) == (self.file_id is None):
            raise ValueError("a file needs either file_data or file_id")
        return self

    def as_image(self) -> ChatImage:
        """Return the file as an image is named; its content tells what it is."""
        return ChatImage(url=self.file_data or self.file_id or "")

    @property
    def pointer(self) -> str:
        """Return where the part names the file."""
        return "file/file_id" if self.file_data is None else "file/file_data"


class ChatPart(BaseModel):
    """A part of a message."""

    type: Literal["text", "image_url", "file", "refusal"]
    text: str | None = None
    image_url: Annotated[ChatImage | None, BeforeValidator(_as_url)] = None
    file: ChatFile | None = None
    refusal: str | None = None

    @check(mode="after")
    def _has_what_it_names(self) -> Self:
        if getattr(self, self.type) is None:
            raise ValueError(f"a part of type {self.type} needs {self.type}")
        others = [name for name in ("image_url", "file") if name != self.type]
        if beside := [name for name in others if getattr(self, name) is not None]:
            raise ValueError(f"a part of type {self.type} cannot have {beside[0]}")
        return self

    @property
    def words(self) -> str | None:
        """Return its text; None for an image or a file."""
        return self.refusal if self.type == "refusal" else self.text

    @property
    def image(self) -> ChatImage | None:
        """Return its image, or what is in its file."""
        return self.file.as_image() if self.file else self.image_url

    @property
    def pointer(self) -> str:
        """Return where it names its image."""
        return self.file.pointer if self.file else "image_url/url"


class MessagePart(Protocol):
    """A part of a message in any form: a text or an image."""

    @property
    def words(self) -> str | None:
        """Return its text; None for an image."""

    @property
    def image(self) -> ChatImage | None:
        """Return its image, or what is in its file."""

    @property
    def pointer(self) -> str:
        """Return where it names its image, below the part."""


#: Members in which other services take pictures and files beside the content.
_ASIDE = (
    *("images", "image", "image_url", "image_urls", "files", "file", "documents"),
    *("attachments", "experimental_attachments", "media"),
)


def refuse_aside(message: Any) -> Any:
    """Return a message; raises ValueError for pictures outside of its content.

    Without them the answer would be blind.
    """
    for name in _ASIDE if isinstance(message, dict) else ():
        if message.get(name):
            raise ValueError(f"{name} is not read here; images and files are parts of content")
    return message


class ChatMessage(BaseModel):
    """One message; other members of OpenAI's messages are ignored."""

    _content_shows_all = check(mode="before")(refuse_aside)

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[list[ChatPart], BeforeValidator(_as_parts)] = Field(
        default_factory=list,
        description="Text, or text, image and file parts in the order in which the model reads "
        "them. "
        "Only an answer of the assistant may be null.",
    )
    tool_calls: list[Any] | None = None

    @field_validator("tool_calls")
    @classmethod
    def _calls_no_tools(cls, value: list[Any] | None) -> list[Any] | None:
        if value:
            raise ValueError("tools are not served; leave out their calls and results")
        return value

    @check(mode="after")
    def _only_users_show_images(self) -> Self:
        if self.role != "user" and any(part.image_url or part.file for part in self.content):
            raise ValueError("only messages with the role user can have images or files")
        if self.role != "assistant" and not self.content:
            raise ValueError("content: Field required")
        return self


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

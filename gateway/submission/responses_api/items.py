"""Items of a response's input as the messages of a chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from pydantic import model_validator as check

from gateway.http.problems import from_validation
from gateway.submission.chats.message import ChatImage, ChatTurn, make_turn, refuse_aside
from gateway.submission.chats.parameters import OwnParameters
from shared.errors import BadParameters
from shared.excerpt import excerpt

#: Items that a client sends back from answers of other models.
_LEFT_OUT = ("reasoning",)
#: What is a part of a message and no item.
_PARTS = ("input_text", "output_text", "text", "input_image", "input_file")


def _as_parts(value: Any) -> Any:
    return [{"type": "input_text", "text": value}] if isinstance(value, str) else value


class ResponsePart(BaseModel):
    """A part of an item."""

    type: Literal["input_text", "output_text", "text", "refusal", "input_image", "input_file"]
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = Field(None, description="A data: URI, an http(s) URL or an `img_…` id.")
    file_id: str | None = Field(
        None,
        pattern="^(doc_|img_|file-|upload_|$)",
        description="The ID of an image, a document or a file: `img_…`, `doc_…`, `file-…`.",
    )
    file_url: str | None = Field(None, description="An http(s) URL.")
    file_data: str | None = Field(None, description="A data: URI or base64.")
    detail: Any = Field(None, description="`low`, `high`; others are `auto`.")

    @check(mode="after")
    def _has_what_it_names(self) -> Self:
        if self.words is None and not self.pointer:
            raise ValueError(f"a part of type {self.type} is empty")
        if self.words is not None and self.pointer:
            raise ValueError(f"a part of type {self.type} cannot have {self.pointer}")
        return self

    @property
    def words(self) -> str | None:
        """Return its text; None for an image."""
        if self.type in ("input_image", "input_file"):
            return None
        return self.refusal if self.type == "refusal" else self.text

    @property
    def pointer(self) -> str:
        """Return the member that names its image."""
        names = ("image_url", "file_id", "file_url", "file_data")
        return next((name for name in names if getattr(self, name)), "")

    @property
    def image(self) -> ChatImage | None:
        """Return its image."""
        if self.words is not None:
            return None
        return ChatImage(url=getattr(self, self.pointer), detail=self.detail)


class ResponseItem(BaseModel):
    """A message of the input; other members of OpenAI's items are ignored."""

    _content_shows_all = check(mode="before")(refuse_aside)

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[list[ResponsePart], BeforeValidator(_as_parts)] = Field(min_length=1)

    @check(mode="after")
    def _only_users_show_images(self) -> Self:
        if self.role != "user" and any(part.words is None for part in self.content):
            raise ValueError("only messages with the role user can have images")
        return self


def read_items(
    items: str | Sequence[Any], own: OwnParameters, member: str = "/input"
) -> list[ChatTurn]:
    """Return the input as messages; raises BadParameters that point to an item of `member`."""
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    turns = []
    for at, item in enumerate(items):
        where = f"{member}/{at}"
        if _is_message(item, where, own):
            message = _read_item(item, where)
            turns.append(make_turn(message.role, message.content, where, own.max_pixels))
    return turns


def _is_message(item: Any, where: str, own: OwnParameters) -> bool:
    """Tell whether an item is a message; raises BadParameters for one that cannot be read."""
    kind = item.get("type", "message") if isinstance(item, dict) else "message"
    if kind == "message":
        return True
    if kind not in _LEFT_OUT:
        hint = "Earlier answers are named by previous_response_id, or sent as messages."
        if kind in _PARTS:
            hint = 'Put it into a message: {"role": "user", "content": [...]}.'
        raise BadParameters(
            f"Items of type {excerpt(kind)} are not read, only messages.",
            pointer=f"{where}/type",
            hint=hint,
        )
    own.tell("item_ignored", f"Items of type {kind} are ignored.", f"{where}/type")
    return False


def _read_item(item: Any, where: str) -> ResponseItem:
    try:
        return ResponseItem.model_validate(item)
    except ValidationError as error:
        raise from_validation(error, where=where) from None

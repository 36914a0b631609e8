"""The messages before a chat's last one, with their images read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway.images.sizing import AnyImage, image_info
from gateway.large_input import with_pauses
from gateway.submission.chats.chat import Chat
from gateway.submission.chats.history import history_notice
from gateway.submission.chats.message import ChatTurn
from gateway.submission.content import ContentReader, RequestContent
from gateway.submission.documents.intake import DocumentIntake
from gateway.submission.images.request_images import RequestImages
from shared.jobs import ConversationMessage, ImageInfo, ImagePlaces
from shared.jobs.history import drop_oldest_question
from shared.jobs.image import StoredImage
from shared.prediction.heartbeat import Heartbeat


@dataclass(frozen=True, slots=True)
class ReadTurn:
    """A message whose images are read."""

    role: Literal["system", "user", "assistant"]
    text: str
    max_pixels: int
    images: Sequence[AnyImage]
    image_places: ImagePlaces = ()


@dataclass(frozen=True, slots=True)
class EarlierMessages:
    """A conversation up to its last message; without messages where the caller sends none."""

    #: Names the conversation, so that its KV cache is reused.
    thread: str = ""
    turns: Sequence[ReadTurn] = ()
    #: Older messages for which there is no room.
    left_out: int = 0
    #: Documents before the one that the question is about.
    other_documents: int = 0

    @property
    def images(self) -> list[AnyImage]:
        """Return the images of all messages, oldest first."""
        return [image for turn in self.turns for image in turn.images]

    def image_infos(self, workers: Sequence[Heartbeat]) -> list[ImageInfo]:
        """Return an info of each image, under the pixel budget of its message."""
        return [
            image_info(image, turn.max_pixels, workers)
            for turn in self.turns
            for image in turn.images
        ]

    def as_messages(self) -> tuple[ConversationMessage, ...]:
        """Return the messages as a worker needs them."""
        return tuple(
            ConversationMessage(
                role=turn.role,
                text=turn.text,
                images=tuple(image.id for image in turn.images),
                max_pixels=turn.max_pixels,
                image_places=turn.image_places,
            )
            for turn in with_pauses(self.turns)
        )

    def drop_oldest(self) -> EarlierMessages | None:
        """Return the conversation without its oldest question; None where there is none."""
        kept = drop_oldest_question(self.turns)
        if kept is None:
            return None
        left_out = self.left_out + len(self.turns) - len(kept)
        return replace(self, turns=kept, left_out=left_out)

    def notices(self) -> list[dict[str, str]]:
        """Return what was left out, as a notice."""
        notices = [history_notice(self.left_out)] if self.left_out else []
        if self.other_documents:
            detail = f"{self.other_documents} earlier documents of the chat were left out."
            notices.append({"code": "document_left_out", "detail": detail})
        return notices


def read_messages(
    chat: Chat, images: RequestImages[StoredImage], documents: DocumentIntake
) -> tuple[EarlierMessages, RequestContent]:
    """Read what the messages of a chat show: of all before the last one, and what that is about.

    A question without images is about the document that was sent last. Raises InputErrors.
    """
    shown = [_read_turn(turn, images, documents) for turn in chat.before]
    content = _read_turn(chat.last, images, documents)
    sent = [one.document for one in shown if one.document]
    if sent and not content.images and content.document is None:
        content = RequestContent(document=sent.pop())
    turns = [
        ReadTurn(
            role=turn.role,
            text=turn.text,
            max_pixels=turn.max_pixels,
            images=one.images,
            # a document stands beside the text and not in it
            image_places=turn.image_places if one.images else (),
        )
        for turn, one in zip(chat.before, shown, strict=True)
    ]
    # clients send the same document again with each message
    others = {one.id for one in sent} - {content.document.id if content.document else ""}
    return EarlierMessages(chat.thread, turns, chat.left_out, len(others)), content


def _read_turn(
    turn: ChatTurn, images: RequestImages[StoredImage], documents: DocumentIntake
) -> RequestContent:
    reader = ContentReader(images, documents)
    for part in turn.images:
        reader.take_text(part.text, part.pointer)
    return reader.content()

"""The messages before a chat's last one, with their images read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.images.sizing import AnyImage, image_info
from gateway.submission.chat_request import Chat, ChatTurn
from gateway.submission.images import RequestImages
from shared.jobs import ConversationMessage, ImageInfo
from shared.jobs.image import StoredImage
from shared.prediction.heartbeat import Heartbeat


@dataclass(frozen=True, slots=True)
class EarlierMessages:
    """A conversation up to its last message; without messages where the caller sends none."""

    #: Names the conversation, so that its KV cache is reused.
    thread: str = ""
    turns: Sequence[tuple[ChatTurn, Sequence[AnyImage]]] = ()

    @property
    def images(self) -> list[AnyImage]:
        """Return the images of all messages, oldest first."""
        return [image for _, images in self.turns for image in images]

    def image_infos(self, workers: Sequence[Heartbeat]) -> list[ImageInfo]:
        """Return an info of each image, under the pixel budget of its message."""
        return [
            image_info(image, turn.max_pixels, workers)
            for turn, images in self.turns
            for image in images
        ]

    def as_messages(self) -> tuple[ConversationMessage, ...]:
        """Return the messages as a worker needs them."""
        return tuple(
            ConversationMessage(
                role=turn.role,
                text=turn.text,
                images=tuple(image.id for image in images),
                max_pixels=turn.max_pixels,
            )
            for turn, images in self.turns
        )


def read_earlier_messages(
    chat: Chat, request_images: RequestImages[StoredImage]
) -> EarlierMessages:
    """Read the images of all messages but the last; raises InputErrors."""
    turns = [(turn, read_turn_images(turn, request_images)) for turn in chat.before]
    return EarlierMessages(chat.thread, turns)


def read_turn_images(turn: ChatTurn, request_images: RequestImages[StoredImage]) -> list[AnyImage]:
    """Return the images of one message in their order; raises InputErrors."""
    return [request_images.read_text(image.text, image.pointer) for image in turn.images]

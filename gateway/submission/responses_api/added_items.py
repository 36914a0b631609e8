"""Messages that are added to a conversation: read, and made into its turns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.images.sizing import image_info
from gateway.large_input import give_way
from gateway.services import Services
from gateway.submission.chats.conversation import ReadTurn
from gateway.submission.chats.message import ChatTurn, NamedImage
from gateway.submission.chats.parameters import OwnParameters
from gateway.submission.documents.intake import ALWAYS_DOCUMENTS
from gateway.submission.images.request_images import RequestImages, timed_decode
from gateway.submission.responses_api.items import read_items
from shared.documents.sniff import document_kind
from shared.errors import BadParameters, InputTooLong
from shared.jobs import FinishReason, Turn
from shared.jobs.image import StoredImage
from shared.jobs.model import TurnPart
from shared.settings import Settings
from shared.store.session_store import new_turn_id
from shared.store.uploads.image_store import ImageHeader


@dataclass(frozen=True, slots=True)
class AddedItems:
    """Messages that are checked, with the images that they show."""

    turns: Sequence[Turn]
    #: Images that the store does not have yet.
    sent: Sequence[StoredImage]

    def store(self, services: Services, tenant: str, conversation_id: str) -> None:
        """Add them to a conversation.

        Raises NotFound, SessionBusy, ImageNotFound, StoreUnavailable and OutcomeUnknown.
        """
        maker = self.turns[0].job_id
        for image in self.sent:
            services.images.put(tenant, image, job_id=maker)
        most = services.settings.session_turns_max
        try:
            services.sessions.add_turns(
                tenant, conversation_id, self.turns, maker=maker, turns_max=most
            )
        except Exception:
            services.images.release(tenant, [image.id for image in self.sent], maker)
            raise


def receive_items(items: Sequence[Any], services: Services, tenant: str) -> AddedItems:
    """Read messages; raises BadParameters, InputTooLong and InputErrors of their images."""
    own = OwnParameters()
    said = read_items(items, own, "/items")
    if not said:
        raise BadParameters("There is no message among the items.", pointer="/items")
    _check_sizes(said, services.settings)
    images = RequestImages.start(services, tenant, timed_decode(services))
    read = [_read(message, images) for message in said]
    workers = services.workers.fresh()
    shown = [image for message in read for image in message.images]
    for message in read:
        for image in message.images:
            # what no model can see is refused here
            image_info(image, message.max_pixels, workers)
    now_ms = services.deliveries.now_ms()
    sent = [image for image in shown if isinstance(image, StoredImage)]
    return AddedItems([_turn(*pair, now_ms) for pair in _pair_up(read)], sent)


def _check_sizes(said: Sequence[ChatTurn], settings: Settings) -> None:
    if sum(len(message.images) for message in said) > settings.images_per_request:
        raise BadParameters(
            f"The items have more than {settings.images_per_request} images.", pointer="/items"
        )
    for at, message in enumerate(said):
        if len(message.text) > settings.prompt_max_chars:
            raise InputTooLong(
                f"Input too long: an item has {len(message.text)} characters; "
                f"at most {settings.prompt_max_chars} are taken.",
                pointer=f"/items/{at}",
            )


def _read(message: ChatTurn, images: RequestImages[StoredImage]) -> ReadTurn:
    shown = []
    for image in message.images:
        give_way()
        shown.append(_read_image(image, images))
    return ReadTurn(message.role, message.text, message.max_pixels, shown, message.image_places)


def _read_image(image: NamedImage, images: RequestImages[StoredImage]) -> ImageHeader | StoredImage:
    if image.text.startswith("img_"):
        return images.read_text(image.text, image.pointer)
    is_document = image.text.startswith("doc_")
    upload = None if is_document else images.load_upload(image.text, image.pointer)
    if upload is None or document_kind(upload.data) in ALWAYS_DOCUMENTS:
        raise BadParameters(
            "Documents cannot be added to a conversation.",
            pointer=image.pointer,
            hint="Send the document with the question of a response that names the conversation.",
        )
    return images.decode_upload(upload, image.pointer)


def _pair_up(said: Iterable[ReadTurn]) -> Iterator[tuple[ReadTurn | None, ReadTurn | None]]:
    """Yield questions with the answers that follow them; others stand alone."""
    asked: ReadTurn | None = None
    for message in said:
        if message.role == "assistant":
            yield asked, message
            asked = None
            continue
        if asked is not None:
            yield asked, None
        asked = message if message.role == "user" else None
        if asked is None:
            yield message, None
    if asked is not None:
        yield asked, None


def _turn(asked: ReadTurn | None, answer: ReadTurn | None, now_ms: int) -> Turn:
    part: TurnPart = "both" if asked and answer else "question" if asked else "answer"
    first = asked or answer
    return Turn(
        job_id=new_turn_id(),
        prompt=asked.text if asked else "",
        images=tuple(image.id for image in asked.images) if asked else (),
        image_places=asked.image_places if asked else (),
        max_pixels=first.max_pixels if first else 0,
        text=answer.text if answer else "",
        finish_reason=FinishReason.STOP.value,
        created_ms=now_ms,
        role="system" if asked and asked.role == "system" else "user",
        part=part,
    )

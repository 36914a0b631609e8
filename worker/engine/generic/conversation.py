"""Turns a conversation into a model's inputs, by the chat template and processor of its makers.

What a user writes never becomes a special token: each such text is hidden from the processor behind
a mark, whose place its letters take afterwards.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from tokenizers import AddedToken, Tokenizer

from shared.errors import BadParameters, ServiceError
from worker.engine.api import ImageInput, Message, UsedImage
from worker.reasons import describe_error

#: Stands for a special token that a user has written out.
_MARK = "⁂sightline⁂"
#: Part of a template's turn, and the turn.
Turn = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """One conversation as a model's `forward` takes it."""

    #: `input_ids` (1, n), whatever else is (1, n), and the images' own.
    tensors: dict[str, torch.Tensor]
    #: Visual tokens of all images.
    image_tokens: int
    images: tuple[UsedImage, ...] = ()

    @property
    def ids(self) -> list[int]:
        """Return the tokens of the prompt."""
        ids: list[int] = self.tensors["input_ids"][0].tolist()
        return ids

    def extended(self, tokens: Sequence[int]) -> dict[str, torch.Tensor]:
        """Return the tensors with the first tokens of the answer behind the prompt."""
        if not tokens:
            return self.tensors
        added = torch.tensor([tokens], dtype=torch.int64)
        length = self.tensors["input_ids"].shape[1]
        longer = dict(self.tensors)
        for name, tensor in self.tensors.items():
            if tensor.shape == (1, length):
                more = added if name == "input_ids" else tensor[:, -1:].expand_as(added)
                longer[name] = torch.cat([tensor, more.to(tensor.dtype)], 1)
        return longer


def _as_parts(message: Message) -> Turn:
    """Return a turn as most templates read it: a list of images and texts."""
    content = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
        for part in message.parts
    ]
    return {"role": message.role, "content": content}


def _as_text(message: Message) -> Turn:
    """Return a turn as some templates read it, whose words are no list where there is no image."""
    return _as_parts(message) if message.images else {"role": message.role, "content": message.text}


class ConversationReader:
    """The processor of one checkpoint; threads may share it, one of which reads at a time."""

    def __init__(self, processor: Any, image_tokens: frozenset[int]) -> None:
        """`image_tokens` are the ids that stand for a part of an image.

        Raises ValueError if the chat template cannot lay out a conversation with an image.
        """
        self._processor = processor
        self._image_tokens = torch.tensor(sorted(image_tokens))
        tokenizer = processor.tokenizer
        self._bos: str = tokenizer.bos_token or ""
        #: Decodes answers; knows no mark.
        self.backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._special = _special_texts(processor, self.backend)
        tokenizer.add_tokens([AddedToken(_MARK, special=True, normalized=False)])
        self._mark_id: int = tokenizer.convert_tokens_to_ids(_MARK)
        self._lock = threading.Lock()
        self._turn_of: Callable[[Message], Turn] = self._choose_form()

    def read(self, messages: Sequence[Message]) -> ModelInputs:
        """Return the whole conversation up to where the assistant's answer begins.

        Images are scaled down to their budgets, and then as the checkpoint wants it. Raises
        BadParameters for a conversation that the template or the processor cannot lay out.
        """
        written: list[str] = []
        hidden = [self._hide(message, written) for message in messages]
        images = [_within_budget(image) for message in messages for image in message.images]
        with self._lock:
            text = self._lay_out(hidden, self._turn_of)
            try:
                tensors = self._process(text, images)
            except Exception as error:
                reason = describe_error(error)
                raise BadParameters(
                    f"The model's processor refuses this input: {reason}"
                ) from error
        tensors = _put_back(tensors, self._mark_id, [self._spell(text) for text in written])
        return self._describe(tensors, messages, images)

    def _hide(self, message: Message, written: list[str]) -> Message:
        """Return a message with a mark for each special text, which is added to `written`."""

        def hide(match: re.Match[str]) -> str:
            written.append(match[0])
            return _MARK

        if not self._special.search(message.text):
            return message
        text, places = "", list(message.image_places)
        at = 0
        for match in self._special.finditer(message.text):
            text += message.text[at : match.start()] + hide(match)
            shift = len(_MARK) - len(match[0])
            places = [
                place + shift if original >= match.end() else place
                for place, original in zip(places, message.image_places, strict=True)
            ]
            at = match.end()
        text += message.text[at:]
        return Message(message.role, text, message.images, image_places=tuple(places))

    def _lay_out(self, messages: Sequence[Message], turn_of: Callable[[Message], Turn]) -> str:
        """Return the template's text; raises BadParameters if it fails or drops a question."""
        try:
            text: str = self._processor.apply_chat_template(
                [turn_of(message) for message in messages],
                tokenize=False,
                add_generation_prompt=True,
            )
        except Exception as error:
            # the template is a program of its own: it may raise anything
            reason = describe_error(error)
            raise BadParameters(
                f"The model's chat template refuses this conversation: {reason}", hint=_ROLES
            ) from error
        at = 0
        for message in messages:
            for part in _words(message):
                at = text.find(part, at) + len(part)
                if at < len(part):
                    raise BadParameters(
                        f"The model's chat template drops words of the role {message.role}.",
                        hint=_ROLES,
                    )
        return text

    def _process(self, text: str, images: list[Image.Image]) -> dict[str, torch.Tensor]:
        begins = bool(self._bos) and text.startswith(self._bos)
        options = {"add_special_tokens": False} if begins else {}
        out = self._processor(
            text=[text], images=[images] if images else None, return_tensors="pt", **options
        )
        return {name: value for name, value in out.items() if isinstance(value, torch.Tensor)}

    def _spell(self, text: str) -> list[int]:
        """Return the tokens of a special text's letters."""
        whole = self.backend.encode(text, add_special_tokens=False).ids
        special = {self.backend.token_to_id(text)}
        if special.isdisjoint(whole):
            return whole
        halves = (text[:1], text[1:])
        return [
            id_
            for half in halves
            for id_ in self.backend.encode(half, add_special_tokens=False).ids
        ]

    def _describe(
        self,
        tensors: dict[str, torch.Tensor],
        messages: Sequence[Message],
        images: Sequence[Image.Image],
    ) -> ModelInputs:
        tokens = int(torch.isin(tensors["input_ids"], self._image_tokens).sum())
        sources = [image for message in messages for image in message.images]
        used = tuple(
            UsedImage(source.id, image.size, share)
            for source, image, share in zip(sources, images, _shares(tokens, images), strict=True)
        )
        return ModelInputs(tensors, tokens, used)

    def _choose_form(self) -> Callable[[Message], Turn]:
        """Return the form of turns that the template lays out; raises ValueError without any."""
        reasons = []
        for form in (_as_parts, _as_text):
            try:
                self._try_out(form)
            except ServiceError as error:
                reasons.append(error.detail)
            else:
                return form
        raise ValueError(reasons[0])

    def _try_out(self, form: Callable[[Message], Turn]) -> None:
        picture = ImageInput("img_trial", Image.new("RGB", (32, 32)), 1024)
        question = Message("user", "Look", (picture,))
        self._lay_out([question], form)
        self._lay_out([question, Message("assistant", "Seen"), Message("user", "More")], form)


_ROLES = "Put the words of the system into the question, and let user and assistant alternate."


def _words(message: Message) -> Iterator[str]:
    """Yield the texts that must come out of the template: not those of earlier answers.

    Templates may leave out the thoughts of an answer.
    """
    if message.role != "assistant":
        yield from (part.strip() for part in message.parts if isinstance(part, str))


def _special_texts(processor: Any, backend: Tokenizer) -> re.Pattern[str]:
    """Return a pattern of all texts that tokenizer or processor would not take for words."""
    added = backend.get_added_tokens_decoder().values()
    texts = {token.content for token in added if token.special}
    names = ("image_token", "video_token", "audio_token", "boi_token", "eoi_token")
    named = {
        getattr(owner, name, None) for owner in (processor, processor.tokenizer) for name in names
    }
    texts |= {text for text in named if isinstance(text, str) and text}
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, [_MARK, *longest_first])))


def _within_budget(source: ImageInput) -> Image.Image:
    """Return an image with no more pixels than its budget, keeping its aspect."""
    width, height = source.image.size
    scale = math.sqrt(source.max_pixels / (width * height))
    if scale >= 1:
        return source.image
    size = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    return source.image.resize(size, Image.Resampling.BICUBIC)


def _put_back(
    tensors: dict[str, torch.Tensor], mark: int, spelled: Sequence[Sequence[int]]
) -> dict[str, torch.Tensor]:
    """Return the tensors with the tokens of one text in place of each mark."""
    ids = tensors["input_ids"]
    places = (ids[0] == mark).nonzero()[:, 0].tolist()
    if len(places) != len(spelled):
        raise BadParameters("The model's chat template repeats or drops a special token's text.")
    if not places:
        return tensors
    counts = torch.ones(ids.shape[1], dtype=torch.int64)
    counts[places] = torch.tensor([len(tokens) for tokens in spelled])
    widened = {
        name: tensor.repeat_interleave(counts, 1) if tensor.shape == ids.shape else tensor
        for name, tensor in tensors.items()
    }
    letters = torch.tensor([id_ for tokens in spelled for id_ in tokens], dtype=torch.int64)
    widened["input_ids"][widened["input_ids"] == mark] = letters
    return widened


def _shares(tokens: int, images: Sequence[Image.Image]) -> list[int]:
    """Divide visual tokens among images by their pixels, which is exact for a single one."""
    pixels = [image.width * image.height for image in images]
    shares, left, of = [], tokens, sum(pixels)
    for count in pixels:
        share = round(left * count / of)
        shares.append(share)
        left, of = left - share, of - count
    return shares

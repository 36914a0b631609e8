"""Turns a conversation into a model's inputs, by the chat template and processor of its makers.

What a user writes never becomes a special token: each such text is hidden from the processor behind
a mark, whose place its letters take afterwards.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from PIL import Image
from tokenizers import AddedToken, Tokenizer

from shared.errors import BadParameters, ServiceError
from worker.engine.api import ImageInput, Message, UsedImage
from worker.engine.generation.thinking import ThinkTags
from worker.engine.generic.inputs import ModelInputs, put_back, share_tokens, within_budget
from worker.engine.input.think_tags import BEGIN, END, close_thinking, drop_thinking, is_open
from worker.reasons import describe_error

#: Stands for a special token that a user has written out.
_MARK = "⁂sightline⁂"
#: Part of a template's turn, and the turn.
Turn = dict[str, Any]


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
        #: The tokens around the model's thinking; None of one that has none.
        self.tags = _think_tags(self.backend)
        self._special = _special_texts(processor, self.backend)
        tokenizer.add_tokens([AddedToken(_MARK, special=True, normalized=False)])
        self._mark_id: int = tokenizer.convert_tokens_to_ids(_MARK)
        self._lock = threading.Lock()
        self._turn_of: Callable[[Message], Turn] = self._choose_form()
        #: Whether the template makes the model think, or can.
        self.thinks = self.tags is not None and self._is_made_to_think()

    def read(self, messages: Sequence[Message], thinking: bool | None = None) -> ModelInputs:
        """Return the whole conversation up to where the assistant begins.

        It is for an answer with or without thinking; None as it is usual. Images are scaled down to
        their budgets, and then as the checkpoint wants it. Raises BadParameters for a conversation
        that the template or the processor cannot lay out.
        """
        written: list[str] = []
        shown = drop_thinking(messages) if self.tags else messages
        hidden = [self._hide(message, written) for message in shown]
        images = [within_budget(image) for message in messages for image in message.images]
        with self._lock:
            text = self._lay_out(hidden, self._turn_of, thinking)
            try:
                tensors = self._process(text, images)
            except Exception as error:
                reason = describe_error(error)
                raise BadParameters(
                    f"The model's processor refuses this input: {reason}"
                ) from error
        tensors = put_back(tensors, self._mark_id, [self._spell(text) for text in written])
        # what users wrote is hidden: only the template's own tags are seen
        opened = self.tags is not None and is_open(text)
        return self._describe(tensors, messages, images, opened=opened)

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

    def _lay_out(
        self,
        messages: Sequence[Message],
        turn_of: Callable[[Message], Turn],
        thinking: bool | None = None,
    ) -> str:
        """Return the template's text; raises BadParameters if it fails or drops a question."""
        # by the name that many templates know; others ignore it
        switch = {} if thinking is None else {"enable_thinking": thinking}
        try:
            text: str = self._processor.apply_chat_template(
                [turn_of(message) for message in messages],
                tokenize=False,
                add_generation_prompt=True,
                **switch,
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
        return close_thinking(text) if self.tags and thinking is False else text

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
        *,
        opened: bool,
    ) -> ModelInputs:
        tokens = int(torch.isin(tensors["input_ids"], self._image_tokens).sum())
        sources = [image for message in messages for image in message.images]
        used = tuple(
            UsedImage(source.id, image.size, share)
            for source, image, share in zip(
                sources, images, share_tokens(tokens, images), strict=True
            )
        )
        return ModelInputs(tensors, tokens, used, opened)

    def _is_made_to_think(self) -> bool:
        """Tell whether a prompt opens the thinking, or is another one where it is turned off."""
        question = [Message("user", "?")]
        usual = self._lay_out(question, self._turn_of)
        return is_open(usual) or usual != self._lay_out(question, self._turn_of, thinking=False)

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


def _think_tags(backend: Tokenizer) -> ThinkTags | None:
    """Return the tokens around a model's thinking; None where the tokenizer has none."""
    ids = {token.content: id_ for id_, token in backend.get_added_tokens_decoder().items()}
    if BEGIN not in ids or END not in ids:
        return None
    closing = [backend.encode(text, add_special_tokens=False).ids for text in ("\n", "\n\n")]
    return ThinkTags(ids[BEGIN], ids[END], (*closing[0], ids[END], *closing[1]))


def _special_texts(processor: Any, backend: Tokenizer) -> re.Pattern[str]:
    """Return a pattern of all texts that tokenizer or processor would not take for words."""
    added = backend.get_added_tokens_decoder().values()
    texts = {token.content for token in added if token.special or token.content in (BEGIN, END)}
    names = ("image_token", "video_token", "audio_token", "boi_token", "eoi_token")
    named = {
        getattr(owner, name, None) for owner in (processor, processor.tokenizer) for name in names
    }
    texts |= {text for text in named if isinstance(text, str) and text}
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, [_MARK, *longest_first])))

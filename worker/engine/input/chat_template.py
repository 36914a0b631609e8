"""Turns a conversation into token ids; what a user writes never becomes a special token."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from tokenizers import Tokenizer

from worker.engine.api import ImageInput, Message

#: A token id, or an image in place of all of its visual tokens.
Element = int | ImageInput

_MARK = re.compile("(⁂[0-9a-f]{16}⁂)")


class ChatTokenizer:
    """The chat template and tokenizer of one checkpoint."""

    def __init__(self, tokenizer: Any, image_token: int) -> None:
        """`tokenizer` is transformers' own, with its chat template and a fast backend.

        Raises ValueError if it lacks the token for images.
        """
        self._template = tokenizer
        self.backend: Tokenizer = tokenizer.backend_tokenizer
        self._plain = Tokenizer.from_str(self.backend.to_str())
        self._plain.encode_special_tokens = True
        added = self.backend.get_added_tokens_decoder()
        if image_token not in added:
            raise ValueError(f"the tokenizer has no token {image_token} for images")
        self._special = {token.content: id_ for id_, token in added.items() if token.special}
        longest_first = sorted(self._special, key=len, reverse=True)
        self._split = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")
        self._image_mark = added[image_token].content

    def encode(self, messages: Sequence[Message]) -> list[Element]:
        """Return the whole conversation up to where the assistant's answer begins."""
        elements: list[Element] = []
        text = ""
        for piece in self._pieces(messages):
            if isinstance(piece, str):
                text += piece
                continue
            elements += self._encode_text(text)
            elements += piece
            text = ""
        return elements + self._encode_text(text)

    def _encode_text(self, text: str) -> list[int]:
        return self._plain.encode(text, add_special_tokens=False).ids if text else []

    def _pieces(self, messages: Sequence[Message]) -> Iterator[str | list[Element]]:
        """Yield texts to tokenise and lists of elements, in the template's order."""
        marks = [f"⁂{secrets.token_hex(8)}⁂" for _ in messages]
        rendered = self._render(messages, marks)
        contents = {
            mark: message.text if message.token_ids is None else list(message.token_ids)
            for mark, message in zip(marks, messages, strict=True)
        }
        images = (image for message in messages for image in message.images)
        for part in _MARK.split(rendered):
            if part in contents:
                content = contents[part]
                yield content if isinstance(content, str) else [*content]
            else:
                yield from self._template_pieces(part, images)

    def _render(self, messages: Sequence[Message], marks: Sequence[str]) -> str:
        """Return the template's text, with marks in place of the messages' words.

        Templates know a message of the system in the first place only, and leave out any other
        without a word; it is rendered as a user's, whose role is put right then.
        """
        later = {at for at, message in enumerate(messages) if at and message.role == "system"}
        turns = [
            _rendered(replace(message, role="user") if at in later else message, marks[at])
            for at, message in enumerate(messages)
        ]
        rendered: str = self._template.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
        for at in later:
            rendered = rendered.replace(f"user\n{marks[at]}", f"system\n{marks[at]}")
        return rendered

    def _template_pieces(
        self, part: str, images: Iterator[ImageInput]
    ) -> Iterator[str | list[Element]]:
        for run in self._split.split(part):
            if run == self._image_mark:
                yield [next(images)]
            elif run in self._special:
                yield [self._special[run]]
            else:
                yield run


def _rendered(message: Message, mark: str) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": mark}
    content = [{"type": "image"} for _ in message.images] + [{"type": "text", "text": mark}]
    return {"role": message.role, "content": content}

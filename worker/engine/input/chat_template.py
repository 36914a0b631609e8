"""Turns a conversation into token ids; what a user writes never becomes a special token."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
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
            elements += self.encode_text(text)
            elements += piece
            text = ""
        return elements + self.encode_text(text)

    def encode_text(self, text: str) -> list[int]:
        """Return the tokens of a text, in which no special token is recognised."""
        return self._plain.encode(text, add_special_tokens=False).ids if text else []

    def _pieces(self, messages: Sequence[Message]) -> Iterator[str | list[Element]]:
        """Yield texts to tokenise and lists of elements, in the template's order."""
        contents: dict[str, str | list[Element]] = {}
        rendered = self._render([_marked(message, contents) for message in messages])
        images = (image for message in messages for image in message.images)
        for part in _MARK.split(rendered):
            if part in contents:
                content = contents[part]
                yield content if isinstance(content, str) else [*content]
            else:
                yield from self._template_pieces(part, images)

    def _render(self, turns: list[dict[str, Any]]) -> str:
        """Return the template's text of turns that have marks in place of their words.

        Templates know a message of the system in the first place only, and leave out any other
        without a word; it is rendered as a user's, whose role is put right then.
        """
        later = [turn for turn in turns[1:] if turn["role"] == "system"]
        for turn in later:
            turn["role"] = "user"
        rendered: str = self._template.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
        for turn in later:
            rendered = rendered.replace(f"user\n{turn['content']}", f"system\n{turn['content']}")
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


def _marked(message: Message, contents: dict[str, str | list[Element]]) -> dict[str, Any]:
    """Return a message for the template; what its marks stand for is added to `contents`."""

    def mark_of(content: str | list[Element]) -> str:
        mark = f"⁂{secrets.token_hex(8)}⁂"
        contents[mark] = content
        return mark

    if not message.images:
        ids = message.token_ids
        content = mark_of(message.text if ids is None else [*ids])
        return {"role": message.role, "content": content}
    parts = [
        {"type": "text", "text": mark_of(part)} if isinstance(part, str) else {"type": "image"}
        for part in message.parts
    ]
    return {"role": message.role, "content": parts}

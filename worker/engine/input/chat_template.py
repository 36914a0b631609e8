"""Turns a conversation into token ids; what a user writes never becomes a special token."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from worker.engine.api import ImageInput, Message
from worker.engine.generation.thinking import ThinkTags
from worker.engine.input.think_tags import (
    BEGIN,
    END,
    close_thinking,
    drop_thinking,
    is_open,
    with_special_tags,
)

#: A token id, or an image in place of all of its visual tokens.
Element = int | ImageInput

_MARK = re.compile("(⁂[0-9a-f]{16}⁂)")


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A conversation up to where the assistant begins."""

    elements: list[Element]
    #: The assistant begins within its thinking.
    opened: bool = False


class ChatTokenizer:
    """The chat template and tokenizer of one checkpoint."""

    def __init__(self, tokenizer: Any, image_token: int) -> None:
        """`tokenizer` is transformers' own, with its chat template and a fast backend.

        Raises ValueError if it lacks the token for images.
        """
        self._template = tokenizer
        self.backend: Tokenizer = tokenizer.backend_tokenizer
        added = self.backend.get_added_tokens_decoder()
        contents = {token.content for token in added.values()}
        has_tags = BEGIN in contents and END in contents
        source = self.backend.to_str()
        self._plain = Tokenizer.from_str(with_special_tags(source) if has_tags else source)
        self._plain.encode_special_tokens = True
        if image_token not in added:
            raise ValueError(f"the tokenizer has no token {image_token} for images")
        tags = (BEGIN, END) if has_tags else ()
        self._special = {
            token.content: id_
            for id_, token in added.items()
            if token.special or token.content in tags
        }
        longest_first = sorted(self._special, key=len, reverse=True)
        self._split = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")
        self._image_mark = added[image_token].content
        #: The tokens around the model's thinking; None of one that has none.
        self.tags = self._read_tags() if has_tags else None
        #: Whether the template makes the model think, or can.
        self.thinks = has_tags and self._is_made_to_think()

    def _read_tags(self) -> ThinkTags:
        begin, end = self._special[BEGIN], self._special[END]
        return ThinkTags(begin, end, (*self.encode_text("\n"), end, *self.encode_text("\n\n")))

    def _is_made_to_think(self) -> bool:
        """Tell whether a prompt opens the thinking, or is another one where it is turned off."""
        turns = [{"role": "user", "content": "?"}]
        try:
            usual, off = self._apply(turns, None), self._apply(turns, False)
        except Exception:  # noqa: BLE001 - a program of its own; what it lacks is told elsewhere
            return False
        return is_open(usual) or usual != off

    def encode(self, messages: Sequence[Message]) -> list[Element]:
        """Return the whole conversation up to where the assistant begins."""
        return self.lay_out(messages).elements

    def lay_out(self, messages: Sequence[Message], thinking: bool | None = None) -> LaidOut:
        """Return the conversation for an answer with or without thinking; None as it is usual."""
        elements: list[Element] = []
        text = ""
        contents: dict[str, str | list[Element]] = {}
        rendered, opened = self._render_messages(messages, contents, thinking)
        for piece in self._pieces(messages, rendered, contents):
            if isinstance(piece, str):
                text += piece
                continue
            elements += self.encode_text(text)
            elements += piece
            text = ""
        elements += self.encode_text(text)
        return LaidOut(elements, opened)

    def encode_text(self, text: str) -> list[int]:
        """Return the tokens of a text, in which no special token is recognised."""
        return self._plain.encode(text, add_special_tokens=False).ids if text else []

    def _render_messages(
        self,
        messages: Sequence[Message],
        contents: dict[str, str | list[Element]],
        thinking: bool | None,
    ) -> tuple[str, bool]:
        """Return the template's text with marks, and whether it ends within the thinking.

        What the marks stand for is added to `contents`.
        """
        shown = drop_thinking(messages) if self.tags else messages
        rendered = self._render([_marked(message, contents) for message in shown], thinking)
        if self.tags is None:
            return rendered, False
        # the words of the conversation are marks: only the template's own tags are seen
        if thinking is False:
            return close_thinking(rendered), False
        return rendered, is_open(rendered)

    def _pieces(
        self,
        messages: Sequence[Message],
        rendered: str,
        contents: dict[str, str | list[Element]],
    ) -> Iterator[str | list[Element]]:
        """Yield texts to tokenise and lists of elements, in the template's order."""
        images = (image for message in messages for image in message.images)
        for part in _MARK.split(rendered):
            if part in contents:
                content = contents[part]
                yield content if isinstance(content, str) else [*content]
            else:
                yield from self._template_pieces(part, images)

    def _apply(self, turns: list[dict[str, Any]], thinking: bool | None) -> str:
        # by the name that the templates of Qwen and others know; others ignore it
        switch = {} if thinking is None else {"enable_thinking": thinking}
        rendered: str = self._template.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, **switch
        )
        return rendered

    def _render(self, turns: list[dict[str, Any]], thinking: bool | None) -> str:
        """Return the template's text of turns that have marks in place of their words.

        Templates know a message of the system in the first place only, and leave out any other
        without a word; it is rendered as a user's, whose role is put right then.
        """
        later = [turn for turn in turns[1:] if turn["role"] == "system"]
        for turn in later:
            turn["role"] = "user"
        rendered = self._apply(turns, thinking)
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

"""The tags around a model's thinking, in the text of a prompt and in earlier turns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from worker.engine.api import Message

BEGIN, END = "<think>", "</think>"
#: What is left of thinking that is turned off, after the opening tag.
_EMPTY = f"\n\n{END}\n\n"


def is_open(prompt: str) -> bool:
    """Tell whether a prompt ends within the thinking."""
    return prompt.rfind(BEGIN) > prompt.rfind(END)


def close_thinking(prompt: str) -> str:
    """Return a prompt whose thinking is an empty block, where the template has left it open."""
    if not is_open(prompt):
        return prompt
    return prompt.rstrip("\n") + _EMPTY


def drop_thinking(messages: Sequence[Message]) -> list[Message]:
    """Return messages of which the assistant's are answers alone, as a template leaves them.

    A client may send back what another service has answered with its thinking.
    """
    return [
        replace(message, text=message.text.rpartition(END)[2].lstrip("\n"))
        if message.role == "assistant" and message.token_ids is None and END in message.text
        else message
        for message in messages
    ]


def with_special_tags(tokenizer: str) -> str:
    """Return a tokenizer's JSON in which the tags are special tokens, as all that marks turns.

    What a user writes is then never one of them.
    """
    parts = json.loads(tokenizer)
    for token in parts["added_tokens"]:
        token["special"] = token["special"] or token["content"] in (BEGIN, END)
    return json.dumps(parts, ensure_ascii=False)

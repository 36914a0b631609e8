"""The vocabulary: a token for each byte, then Qwen's special tokens."""

from __future__ import annotations

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
IDS = {name: 256 + number for number, name in enumerate(SPECIAL)}
VOCABULARY = 256 + len(SPECIAL)


def encode(text: str) -> list[int]:
    """UTF-8 bytes; special tokens are added by id, never parsed."""
    return list(text.encode())


def decode(ids: list[int]) -> str:
    """Text of all byte tokens; special tokens are left out."""
    return bytes(number for number in ids if number < 256).decode(errors="replace")

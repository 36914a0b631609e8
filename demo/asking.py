"""Runs a checkpoint with transformers alone: its processor, chat template and `generate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoImageProcessor, AutoTokenizer, Qwen3VLForConditionalGeneration

from demo.checkpoint import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

Message = dict[str, Any]


class Asker:
    """A loaded checkpoint that answers conversations greedily."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        self.model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.model.eval()
        self.image_id = self.model.config.image_token_id

    @torch.inference_mode()
    def ask(self, messages: list[Message], images: list[Image.Image], limit: int) -> str:
        """Answer the last question of a conversation about images, in at most `limit` bytes."""
        text = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        inputs = self.processor(images=images, return_tensors="pt")
        areas = inputs["image_grid_thw"].prod(1) // self.processor.merge_size**2
        parts = text.split("<|image_pad|>")
        pads = ["<|image_pad|>" * int(area) for area in areas]
        text = "".join(part + pad for part, pad in zip(parts, [*pads, ""], strict=True))
        ids = self.tokenizer(text, return_tensors="pt").input_ids
        self.model.model.rope_deltas = None
        generated = self.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=inputs["pixel_values"],
            image_grid_thw=inputs["image_grid_thw"],
            mm_token_type_ids=(ids == self.image_id).int(),
            max_new_tokens=limit,
        )
        return self.tokenizer.decode(generated[0, ids.shape[1] :], skip_special_tokens=True)


def user_message(question: str, images: int) -> Message:
    """Return a user's message, with so many images before the question."""
    return {
        "role": "user",
        "content": [*[{"type": "image"}] * images, {"type": "text", "text": question}],
    }

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
    def ask(self, messages: list[Message], image: Image.Image, limit: int) -> str:
        """Answer the last question of a conversation about one image, in at most `limit` bytes."""
        text = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        inputs = self.processor(images=[image], return_tensors="pt")
        area = int(inputs["image_grid_thw"].prod()) // self.processor.merge_size**2
        pads = "<|image_pad|>" * area
        ids = self.tokenizer(text.replace("<|image_pad|>", pads), return_tensors="pt").input_ids
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


def user_message(question: str, image: bool) -> Message:
    """Return a user's message, with the image before the question."""
    parts = [{"type": "image"}] if image else []
    return {"role": "user", "content": [*parts, {"type": "text", "text": question}]}

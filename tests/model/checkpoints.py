"""Models for the engine's tests, and what transformers itself answers with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoTokenizer,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
)

from shared.jobs import GenerationParams
from shared.settings import BUNDLED_MODEL
from worker.engine.api import Completion, Engine, EngineRequest, Failed, ImageInput, Message

_BORROWED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "preprocessor_config.json",
    "generation_config.json",
)


def write_tiny_model(
    folder: Path, text: Mapping[str, Any] | None = None, *, tied: bool = True, **vision: Any
) -> Path:
    """Write a random model of 0.5 M parameters with all parts of the large one.

    Unlike the bundled one it joins 2×2 patches to a token, as Qwen3-VL does. `text` and `vision`
    replace fields of the language model and of the tower; one with `num_experts` has experts.
    """
    bundled = Path(BUNDLED_MODEL)
    for name in _BORROWED:
        shutil.copy(bundled / name, folder / name)
    images = folder / "preprocessor_config.json"
    images.write_text(json.dumps(json.loads(images.read_text()) | {"merge_size": 2}))
    theirs = Qwen3VLConfig.from_pretrained(bundled)
    has_experts = bool(text and "num_experts" in text)
    kind = Qwen3VLMoeConfig if has_experts else Qwen3VLConfig
    config = kind(
        text_config={
            **_without_kind(theirs.text_config),
            "hidden_size": 128,
            "intermediate_size": 192,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "num_hidden_layers": 3,
            "max_position_embeddings": 4096,
            **(text or {}),
        },
        vision_config={
            **_without_kind(theirs.vision_config),
            "depth": 3,
            "hidden_size": 128,
            "intermediate_size": 192,
            "num_heads": 2,
            "spatial_merge_size": 2,
            "out_hidden_size": 128,
            "deepstack_visual_indexes": [0, 1],
            **vision,
        },
        tie_word_embeddings=tied,
        image_token_id=theirs.image_token_id,
        video_token_id=theirs.video_token_id,
        vision_start_token_id=theirs.vision_start_token_id,
        vision_end_token_id=theirs.vision_end_token_id,
    )
    torch.manual_seed(1)
    makes = Qwen3VLMoeForConditionalGeneration if has_experts else Qwen3VLForConditionalGeneration
    model = makes(config)
    with torch.no_grad():
        for weight in model.parameters():
            # larger than usual, so that every part tells on the chosen tokens
            weight.add_(torch.randn_like(weight) * 0.1)
    model.to(torch.bfloat16).save_pretrained(folder)
    return folder


def _without_kind(config: Any) -> dict[str, Any]:
    return {name: value for name, value in config.to_dict().items() if name != "model_type"}


class Reference:
    """transformers' own generation, one request at a time."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.images = AutoImageProcessor.from_pretrained(folder, backend="pil")

    def inputs(self, messages: Sequence[Message]) -> dict[str, torch.Tensor]:
        chat = [
            {
                "role": m.role,
                "content": [
                    {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
                    for part in m.parts
                ],
            }
            for m in messages
        ]
        text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        sources = [image for m in messages for image in m.images]
        if not sources:
            return dict(self.tokenizer(text, return_tensors="pt", add_special_tokens=False))
        size = {
            "shortest_edge": self.images.size["shortest_edge"],
            "longest_edge": min(sources[0].max_pixels, self.images.size["longest_edge"]),
        }
        out = dict(self.images([s.image for s in sources], size=size, return_tensors="pt"))
        for grid in out["image_grid_thw"]:
            text = text.replace(
                "<|image_pad|>", "<|pad|>" * int(grid.prod() // self.images.merge_size**2), 1
            )
        text = text.replace("<|pad|>", "<|image_pad|>")
        out |= self.tokenizer(text, return_tensors="pt", add_special_tokens=False)
        out["mm_token_type_ids"] = (out["input_ids"] == self.model.config.image_token_id).int()
        return out

    def answer(self, messages: Sequence[Message], tokens: int) -> list[int]:
        """Return the greedily generated ids, without the one that ends the answer."""
        inputs: dict[str, Any] = self.inputs(messages)
        out = self.model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        ids = out[0, inputs["input_ids"].shape[1] :].tolist()
        end = self.model.generation_config.eos_token_id
        return ids[: ids.index(end)] if end in ids else ids


def picture(seed: int, width: int = 96, height: int = 64) -> Image.Image:
    """Return a picture of random blocks, which no two seeds share."""
    draw = np.random.default_rng(seed)
    blocks = draw.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST)


def image(seed: int, width: int = 96, height: int = 64, max_pixels: int = 1 << 20) -> ImageInput:
    """Return the picture of a seed as the engine takes it."""
    return ImageInput(f"img_{seed}", picture(seed, width, height), max_pixels)


def user(text: str, *images: ImageInput) -> Message:
    """Return a user's turn."""
    return Message("user", text, images)


def request(*messages: Message, scope: str = "", tokens: int = 12, **params: Any) -> EngineRequest:
    """Return a request whose features and keys are shared within `scope`."""
    return EngineRequest(
        id="request",
        messages=messages,
        params=GenerationParams(max_new_tokens=tokens, **params),
        scope=scope,
        feature_scope=scope,
    )


def answer(engine: Engine, question: EngineRequest) -> Completion:
    """Return the end of an answer; fail the test when it ends in an error."""
    last = list(engine.submit(question).events())[-1]
    if isinstance(last, Failed):
        raise last.error
    assert isinstance(last, Completion)
    return last

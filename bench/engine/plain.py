"""Measures the baseline: plain transformers in bfloat16, one request at a time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoImageProcessor, AutoTokenizer, Qwen3VLForConditionalGeneration

from bench.engine.measures import QUESTION, SIDES, Figures, anonymous_bytes, picture

_DECODED = 17


def measure(folder: Path) -> Figures:
    """Measure cold answers and decoding; without a cache a follow-up is a cold one."""
    figures = Figures("transformers bf16")
    started = time.perf_counter()
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16).eval()
    figures.load_s = time.perf_counter() - started
    prepare = _Prepare(folder)
    _generate(model, prepare(256, 0), 2)
    for seed, side in enumerate(SIDES, 1):
        started = time.perf_counter()
        inputs = prepare(side, seed)
        _generate(model, inputs, 1)
        figures.cold_s[side] = time.perf_counter() - started
        figures.follow_up_s[side] = figures.features_only_s[side] = figures.cold_s[side]
    _measure_stages(model, inputs, figures)
    inputs = prepare(256, 9)
    first = _generate(model, inputs, 1)
    whole = _generate(model, inputs, _DECODED)
    figures.decode_tokens_per_s[1] = (_DECODED - 1) / (whole - first)
    one = _generate(model, prepare(512, 10), 32)
    figures.four_images_per_minute = 60 / one
    figures.anonymous_bytes = anonymous_bytes()
    return figures


def _measure_stages(model: Any, inputs: dict[str, Any], figures: Figures) -> None:
    """Measure encode and prefill of the last cold answer apart."""
    with torch.inference_mode():
        started = time.perf_counter()
        model.get_image_features(inputs["pixel_values"].bfloat16(), inputs["image_grid_thw"])
    side = SIDES[-1]
    figures.encode_s[side] = time.perf_counter() - started
    prefill_s = figures.cold_s[side] - figures.encode_s[side]
    figures.prefill_tokens_per_s = inputs["input_ids"].shape[1] / prefill_s


class _Prepare:
    def __init__(self, folder: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._images = AutoImageProcessor.from_pretrained(folder, backend="pil")

    def __call__(self, side: int, seed: int) -> dict[str, Any]:
        out = dict(self._images([picture(side, seed)], return_tensors="pt"))
        pad = "<|image_pad|>"
        chat = [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}
        ]
        text = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        text = text.replace(pad, pad * int(out["image_grid_thw"].prod() // 4))
        out |= self._tokenizer(text, return_tensors="pt", add_special_tokens=False)
        pad_id = self._tokenizer.convert_tokens_to_ids(pad)
        out["mm_token_type_ids"] = (out["input_ids"] == pad_id).int()
        return out


def _generate(model: Any, inputs: dict[str, Any], tokens: int) -> float:
    """Return the seconds that exactly so many new tokens take."""
    started = time.perf_counter()
    model.generate(**inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)
    return time.perf_counter() - started

"""Writes a Qwen3-VL-2B with random weights, which is as fast as the real one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from bench.engine.sizes import TEXT, VISION
from demo.checkpoint import IMAGE_PROCESSOR
from shared.settings import BUNDLED_MODEL

#: Copied from the bundled checkpoint, whose byte tokenizer is used here too.
_COPIED = ("tokenizer_config.json", "chat_template.jinja", "sightline.json")
_TOKENS = (
    "image_token_id",
    "video_token_id",
    "vision_start_token_id",
    "vision_end_token_id",
)


def default_folder() -> Path:
    """Return the folder of the model, outside the repository."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "sightline" / "qwen3-vl-2b-random"


def ensure_model(folder: Path) -> Path:
    """Write the model (4.3 GB, bfloat16) unless it is there; return its folder."""
    if not (folder / "model.safetensors").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder)
    # a folder written before had another model's
    (folder / "preprocessor_config.json").write_text(json.dumps(_preprocessor()))
    return folder


def _write(folder: Path) -> None:
    bundled = Path(BUNDLED_MODEL)
    for name in _COPIED:
        shutil.copy(bundled / name, folder / name)
    about = {"name": "qwen3-vl-2b-random", "demo": True}
    (folder / "sightline.json").write_text(json.dumps(about))
    shutil.copy(bundled / "generation_config.json", folder)
    _write_tokenizer(bundled, folder)
    tokens = json.loads((bundled / "config.json").read_text())
    config = Qwen3VLConfig(
        text_config=TEXT,
        vision_config=VISION,
        tie_word_embeddings=True,
        **{name: tokens[name] for name in _TOKENS},
    )
    config.architectures = ["Qwen3VLForConditionalGeneration"]
    config.dtype = "bfloat16"
    config.save_pretrained(folder)
    unfinished = folder / "unfinished.safetensors"
    save_file(_random_weights(config), unfinished, {"format": "pt"})
    unfinished.rename(folder / "model.safetensors")


def _preprocessor() -> dict[str, Any]:
    """Return the image processor's configuration, which cuts images as the tower needs them."""
    return IMAGE_PROCESSOR | {
        "patch_size": VISION["patch_size"],
        "temporal_patch_size": VISION["temporal_patch_size"],
        "merge_size": VISION["spatial_merge_size"],
        "size": {"shortest_edge": 65_536, "longest_edge": 16_777_216},
    }


def _write_tokenizer(bundled: Path, folder: Path) -> None:
    """Extend the byte tokenizer, so that every id of the vocabulary has a text."""
    tokenizer = json.loads((bundled / "tokenizer.json").read_text("utf-8"))
    vocab = tokenizer["model"]["vocab"]
    # in the vocabulary too, or their ids would follow it
    vocab |= {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    known = set(vocab.values())
    vocab |= {f"w{id_}": id_ for id_ in range(TEXT["vocab_size"]) if id_ not in known}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), "utf-8")


def _random_weights(config: Qwen3VLConfig) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration(config)
    draw = torch.Generator().manual_seed(0)

    def tensor(name: str, shape: torch.Size) -> torch.Tensor:
        if "norm" in name and name.endswith("weight"):
            return torch.ones(shape, dtype=torch.bfloat16)
        return torch.empty(shape, dtype=torch.bfloat16).normal_(0, 0.02, generator=draw)

    named = dict(model.named_parameters())  # tied weights once
    return {name: tensor(name, weight.shape) for name, weight in named.items()}

"""Writes the checkpoint in Hugging Face form: weights, tokenizer, chat template, processor."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

from demo.training import labels
from demo.training.network import is_block_matrix, model_config
from demo.training.rounding import round_to_int8
from demo.training.tokens import IDS, SPECIAL

if TYPE_CHECKING:
    from torch import nn

FOLDER = Path(__file__).parent / "checkpoint"

#: Height in pixels of the smallest letters that it reads well, those of 19 px fonts.
LETTER_HEIGHT = 11.0
#: That of the tallest ones, those of 45 px fonts: a third of the text of 48 px comes out wrong.
TALLEST_LETTERS = 26.0
#: Letters that it reads well in one look: from 150 on it skips lines of long dense text.
LETTERS_AT_ONCE = 100

DESCRIPTION = (
    "A small Qwen3-VL trained from scratch on drawn images: reads printed text and answers simple "
    "questions about shapes. For tests and demonstrations only."
)

IMAGE_PROCESSOR = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "rescale_factor": 1 / 255,
    "resample": 3,
    "patch_size": labels.PATCH,
    "temporal_patch_size": 2,
    "merge_size": labels.MERGE,
    # pixels: from 32×32 up to the largest page seen in training
    "size": {"shortest_edge": 1024, "longest_edge": 1048576},
}


def byte_names() -> list[str]:
    """List the printable characters that stand for bytes in byte-level vocabularies."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token a byte and Qwen's special tokens."""
    vocabulary = {name: byte for byte, name in enumerate(byte_names())}
    bytes_ = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bytes_.decoder = decoders.ByteLevel()
    bytes_.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in SPECIAL]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bytes_,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={
            "image_token": "<|image_pad|>",
            "video_token": "<|video_pad|>",
            "vision_start_token": "<|vision_start|>",
            "vision_end_token": "<|vision_end|>",
        },
    )
    fast.chat_template = (Path(__file__).parent / "chat_template.jinja").read_text()
    return fast


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of an exported checkpoint in float32, by their names in the network."""
    model = Qwen3VLForConditionalGeneration.from_pretrained(
        folder, config=model_config(), dtype=torch.float32
    )
    return model.state_dict()


def export(model: nn.Module, folder: Path) -> None:
    """Write everything that `from_pretrained` needs."""
    folder.mkdir(parents=True, exist_ok=True)
    build_tokenizer().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(IMAGE_PROCESSOR, indent=2) + "\n")
    settings = model.generation_config
    settings.eos_token_id, settings.pad_token_id = IDS["<|im_end|>"], IDS["<|endoftext|>"]
    settings.do_sample = False
    weights_bf16 = {
        name: round_to_int8(value) if is_block_matrix(name, value) else value.to(torch.bfloat16)
        for name, value in model.cpu().state_dict().items()
    }
    model.config.dtype = torch.bfloat16
    model.save_pretrained(folder, state_dict=weights_bf16)
    # safetensors makes the file readable by its owner only
    (folder / "model.safetensors").chmod(0o644)
    weights = (folder / "model.safetensors").read_bytes()
    marker = {
        "name": "sightline-demo",
        "demo": True,
        "letter_height": LETTER_HEIGHT,
        "tallest_letters": TALLEST_LETTERS,
        "letters_at_once": LETTERS_AT_ONCE,
        # its evaluation is the reference that other numerics are compared with
        "numerics": "bf16",
        "revision": hashlib.sha256(weights).hexdigest()[:12],
        "description": DESCRIPTION,
    }
    (folder / "sightline.json").write_text(json.dumps(marker, indent=2) + "\n")

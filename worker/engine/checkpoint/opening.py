"""Opens a checkpoint: reads all but the values of its weights, and refuses what would be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.long_steps import HowFar
from worker.engine.checkpoint.fields import QUANTIZATION, check_fields, check_kind
from worker.engine.checkpoint.folder import read_json
from worker.engine.checkpoint.inputs import (
    make_chat,
    read_end_tokens,
    read_images,
    read_tokenizer,
)
from worker.engine.checkpoint.quantized import QuantizedFiles, read_form
from worker.engine.checkpoint.tensors import check_tensors
from worker.engine.checkpoint.weights import WeightFiles
from worker.engine.config import ModelShape, read_shape
from worker.engine.input.chat_template import ChatTokenizer
from worker.engine.input.image_processor import ImageReader


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint whose parts fit together and that the engine computes as its makers did."""

    shape: ModelShape
    chat: ChatTokenizer
    reader: ImageReader
    weights: WeightFiles | QuantizedFiles
    #: Of the weights: which part was read so far.
    how_far: Callable[[], HowFar]


def open_checkpoint(folder: Path) -> Checkpoint:
    """Check a folder and open it; raises ValueError or OSError with the reason."""
    from transformers import AutoConfig

    raw = read_json(folder / "config.json")
    check_kind(raw)
    form = read_form(raw[QUANTIZATION]) if raw.get(QUANTIZATION) else None
    files = WeightFiles(folder)
    weights = QuantizedFiles(files, form) if form else files
    config = AutoConfig.from_pretrained(folder)
    check_fields(config)
    tokenizer = read_tokenizer(folder)
    shape = read_shape(config, read_end_tokens(folder, tokenizer))
    check_tensors(weights.headers(), shape)
    return Checkpoint(
        shape=shape,
        chat=make_chat(tokenizer, shape),
        reader=read_images(folder, shape.vision),
        weights=weights,
        how_far=files.how_far,
    )

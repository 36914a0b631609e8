"""Finds a checkpoint, in a folder or on the hub, and loads a model from it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shared.jobs.enhancement import LETTER_HEIGHT
from shared.settings import Settings
from worker.engine.config import ModelShape, read_shape
from worker.engine.generation.defaults import read_recommended
from worker.engine.input.chat_template import ChatTokenizer
from worker.engine.input.image_processor import ImageReader
from worker.engine.model.language_model import TextModel
from worker.engine.model.vision_tower import VisionTower
from worker.engine.model.weights import WeightFiles, revision_of
from worker.engine.ops.choice import choose_ops

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_FILES = ["*.json", "*.jinja", "*.safetensors", "*.txt"]


class ModelNotLoadable(Exception):
    """The model cannot be loaded."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything of one checkpoint that the engine works with."""

    name: str
    #: 16 hex digits that distinguish weights.
    revision: str
    #: Made for tests and first steps.
    demo: bool
    #: Height in pixels of the lowest letters that the model reads well.
    letter_height: float
    #: Sampling that the checkpoint recommends.
    sampling: dict[str, float]
    shape: ModelShape
    chat: ChatTokenizer
    reader: ImageReader
    tower: VisionTower
    text: TextModel


def load_model(settings: Settings) -> LoadedModel:
    """Load `settings.model`; raises ModelNotLoadable with the reason in one line."""
    folder = _folder(settings.model)
    try:
        return _load(folder, settings)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ModelNotLoadable(f"{settings.model}: {reason}") from error


def _folder(model: str) -> Path:
    """Return the checkpoint's folder, downloaded first for a hub id; raises ModelNotLoadable."""
    folder = Path(model)
    if not folder.is_dir() and _HUB_ID.fullmatch(model):
        return _fetch(model)
    if not folder.is_dir():
        raise ModelNotLoadable(f"{model}: no such folder")
    if not (folder / "config.json").is_file():
        raise ModelNotLoadable(f"{model}: the folder has no config.json")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return folder


def _fetch(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=_FILES))
    except Exception as error:
        first_line = str(error).strip().splitlines()[0]
        raise ModelNotLoadable(f"{hub_id}: not a folder, and the hub said: {first_line}") from error


def _load(folder: Path, settings: Settings) -> LoadedModel:
    from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer

    torch.set_num_threads(settings.threads)
    config = AutoConfig.from_pretrained(folder)
    if config.model_type != "qwen3_vl":
        raise ModelNotLoadable(f"{folder.name}: {config.model_type} is not qwen3_vl")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    shape = read_shape(config, _end_tokens(folder, tokenizer))
    weights = WeightFiles(folder)
    ops = choose_ops(settings, shape)
    about = _about(folder, settings.model)
    return LoadedModel(
        name=about["name"],
        revision=revision_of(folder),
        demo=bool(about.get("demo")),
        letter_height=float(about.get("letter_height", LETTER_HEIGHT)),
        sampling=read_recommended(folder),
        shape=shape,
        chat=ChatTokenizer(tokenizer, shape.image_token),
        reader=ImageReader(
            AutoImageProcessor.from_pretrained(folder, backend="pil"), shape.vision.factor
        ),
        tower=VisionTower(shape.vision, weights, ops),
        text=TextModel(shape.text, weights, ops),
    )


def _about(folder: Path, model: str) -> dict[str, Any]:
    """Return the checkpoint's name and flags: those of its sightline.json come first."""
    file = folder / "sightline.json"
    flags = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return {"name": model if _HUB_ID.fullmatch(model) else folder.resolve().name} | flags


def _end_tokens(folder: Path, tokenizer: Any) -> frozenset[int]:
    """Return the ids that end an answer."""
    file = folder / "generation_config.json"
    ids = json.loads(file.read_text("utf-8")).get("eos_token_id") if file.is_file() else None
    ids = tokenizer.eos_token_id if ids is None else ids
    return frozenset(ids if isinstance(ids, list) else [ids])

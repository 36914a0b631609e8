"""Loads a model from a checkpoint, with the arithmetic that works here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shared.catalog.model_place import find_place
from shared.jobs.parameters.enhancement import LETTER_HEIGHT
from shared.long_steps import long_step
from shared.settings import Settings
from worker.engine.checkpoint.folder import find_folder, read_json
from worker.engine.checkpoint.opening import open_checkpoint
from worker.engine.checkpoint.weights import revision_of
from worker.engine.config import ModelShape
from worker.engine.generation.defaults import read_recommended, read_samples
from worker.engine.input.chat_template import ChatTokenizer
from worker.engine.input.image_processor import ImageReader
from worker.engine.model.language_model import TextModel
from worker.engine.model.vision_tower import VisionTower
from worker.engine.ops.choice import choose_ops
from worker.engine.ops.numerics import COMPUTED, ChosenNumerics, choose_numerics
from worker.reasons import describe_error


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
    #: Height in pixels of the tallest letters that it reads well; None where nothing bounds them.
    tallest_letters: float | None
    #: Letters that the model reads well in one look; None where nothing bounds them.
    letters_at_once: float | None
    numerics: ChosenNumerics
    #: What computes, for people.
    arithmetic: str
    #: Sampling that the checkpoint recommends.
    sampling: dict[str, float]
    #: Its makers sample, as transformers then does.
    samples: bool
    shape: ModelShape
    chat: ChatTokenizer
    reader: ImageReader
    tower: VisionTower
    text: TextModel


def load_model(settings: Settings) -> LoadedModel:
    """Load `settings.model`; raises ModelNotLoadable with the reason in one line."""
    try:
        return _load(find_folder(settings), settings)
    except MemoryError:
        raise
    except Exception as error:
        # whatever a foreign file makes transformers, tokenizers or torch raise
        raise ModelNotLoadable(f"{settings.model}: {describe_error(error)}") from error


def _load(folder: Path, settings: Settings) -> LoadedModel:
    torch.set_num_threads(settings.threads)
    checkpoint = open_checkpoint(folder)
    shape = checkpoint.shape
    about = read_about(folder, settings.model)
    numerics = choose_numerics(settings, shape, about.get("numerics"))
    ops = choose_ops(settings, shape, numerics.name)
    with long_step("loading the model", checkpoint.how_far, kind="load"):
        tower = VisionTower(shape.vision, checkpoint.weights, ops.images)
        text = TextModel(shape.text, checkpoint.weights, ops.text)
    return LoadedModel(
        name=settings.model_name or about["name"],
        revision=revision_of(folder),
        demo=bool(about.get("demo")),
        letter_height=about["letter_height"],
        tallest_letters=about.get("tallest_letters"),
        letters_at_once=about.get("letters_at_once"),
        numerics=numerics,
        arithmetic=ops.name,
        sampling=read_recommended(folder),
        samples=read_samples(folder),
        shape=shape,
        chat=checkpoint.chat,
        reader=checkpoint.reader,
        tower=tower,
        text=text,
    )


def read_about(folder: Path, model: str) -> dict[str, Any]:
    """Return the checkpoint's name and flags: those of its sightline.json come first.

    Raises ValueError for flags that cannot be used.
    """
    given = {"name": find_place(model).title, "letter_height": LETTER_HEIGHT}
    flags = given | read_json(folder / "sightline.json")
    if not isinstance(flags["name"], str) or not flags["name"]:
        raise ValueError("sightline.json: name is not a text")
    for name in ("letter_height", "tallest_letters", "letters_at_once"):
        value = flags.get(name, 1)
        if not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"sightline.json: {name} is not a number above 0")
    if flags.get("numerics", COMPUTED[0]) not in COMPUTED:
        raise ValueError(f"sightline.json: numerics is not one of {', '.join(COMPUTED)}")
    return flags

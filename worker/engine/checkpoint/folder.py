"""Finds a checkpoint's folder, on this machine or on a hub, and says what else it is if not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from shared.catalog.model_place import find_place
from shared.settings import Settings
from worker.weights.fetching import fetch_model
from worker.weights.forms import explain_other_form


def find_folder(settings: Settings) -> Path:
    """Return the folder of the checkpoint `settings.model`, downloaded first from a hub.

    Raises ValueError, in one line that says what there is instead.
    """
    place = find_place(settings.model)
    if place.source == "folder":
        folder = place.folder
        _check_folder(folder)
    else:
        folder = fetch_model(
            place,
            settings.model_revision,
            cache=settings.weights_dir,
            ca_file=settings.ca_file,
        )
    # all that is needed is in the folder
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if not (folder / "config.json").is_file():
        raise ValueError(f"the folder has no config.json: {describe_contents(folder)}")
    return folder


def describe_contents(folder: Path) -> str:
    """Return what a folder without a readable model holds, and what to do about it."""
    if hint := explain_other_form(file.name for file in folder.iterdir()):
        return hint
    if any(folder.glob("*.safetensors")):
        return "files of the checkpoint are missing; download it again"
    return "it holds no model in the form of transformers"


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file, empty without the file; raises ValueError if damaged."""
    if not file.is_file():
        return {}
    try:
        # some editors and tools write a byte order mark
        content = json.loads(file.read_text("utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{file.name} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file.name} is damaged: it does not contain a JSON object")  # noqa: TRY004
    return content


def _check_folder(folder: Path) -> None:
    if folder.is_file():
        hint = explain_other_form([folder.name])
        raise ValueError(f"a file, not a folder; {hint or 'name the folder of the checkpoint'}")
    if not folder.is_dir():
        raise ValueError("no such folder")

"""The name under which a worker will serve its model, as far as it is known before it is loaded."""

from __future__ import annotations

import json
from pathlib import Path

from shared.catalog.model_place import find_place
from shared.settings import Settings


def expect_name(settings: Settings) -> str:
    """Return the operator's name for the model, else the checkpoint's, else that of its place.

    A folder that is not on this machine, or not readable, has that of its place.
    """
    if settings.model_name:
        return settings.model_name
    try:
        place = find_place(settings.model)
    except ValueError:
        return settings.model
    own = _read_own_name(place.folder) if place.source == "folder" else ""
    return own or place.title


def _read_own_name(folder: Path) -> str:
    try:
        about = json.loads((folder / "sightline.json").read_text("utf-8-sig"))
    except (OSError, ValueError):
        return ""
    name = about.get("name") if isinstance(about, dict) else ""
    return name if isinstance(name, str) else ""

"""`python -m worker.weights fetch MODEL`: downloads a model before any worker starts.

MODEL is what SIGHTLINE_MODEL may be; without it, that setting. Prints the model's folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from shared import log
from shared.catalog.model_place import find_place
from shared.settings import Settings
from worker.weights.fetching import fetch_model


def fetch(model: str, settings: Settings) -> Path:
    """Return the folder that has a model, downloaded if need be; raises ValueError."""
    place = find_place(model)
    if place.source == "folder":
        if not (place.folder / "config.json").is_file():
            raise ValueError(f"the folder {place.folder} has no config.json")
        return place.folder
    return fetch_model(
        place, settings.model_revision, cache=settings.weights_dir, ca_file=settings.ca_file
    )


def main() -> int:
    """Return 1, with the reason in one line, if the model cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m worker.weights", description=__doc__)
    parser.add_argument("command", choices=["fetch"])
    settings = Settings()
    parser.add_argument("model", nargs="?", default=settings.model)
    arguments = parser.parse_args()
    log.configure(settings)
    try:
        folder = fetch(arguments.model, settings)
    except ValueError as error:
        sys.stderr.write(f"{arguments.model}: {error}\n")
        return 1
    sys.stdout.write(f"{folder.resolve()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

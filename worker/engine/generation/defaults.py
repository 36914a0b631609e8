"""The sampling that a checkpoint recommends, and how a request gets it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from shared.jobs import SAMPLING, GenerationParams

_log = logging.getLogger(__name__)

FILE = "generation_config.json"


def read_recommended(folder: Path) -> dict[str, float]:
    """Return the parameters that a checkpoint's generation_config names, out of `SAMPLING`.

    What is out of bounds is left out and logged. Raises OSError and ValueError for a broken file.
    """
    file = folder / FILE
    config = json.loads(file.read_text("utf-8-sig")) if file.is_file() else {}
    recommended: dict[str, float] = {}
    for name in SAMPLING:
        if config.get(name) is None:
            continue
        try:
            recommended[name] = getattr(GenerationParams(**{name: config[name]}), name)
        except ValidationError as error:
            cause = error.errors()[0]["msg"]
            _log.warning("generation_config.ignored", extra={"parameter": name, "cause": cause})
    return recommended


def with_recommended(
    params: GenerationParams, recommended: Mapping[str, float]
) -> GenerationParams:
    """Return the parameters, the recommended ones in place of what the request leaves open."""
    if not params.do_sample:
        return params
    names = [name for name in params.from_model if name in recommended]
    return params.model_copy(update={name: recommended[name] for name in names})

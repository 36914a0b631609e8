"""The sampling that a checkpoint recommends, and how a request gets it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.jobs import SAMPLING, GenerationParams

_log = logging.getLogger(__name__)

FILE = "generation_config.json"


def read_recommended(folder: Path) -> dict[str, float]:
    """Return the parameters that a checkpoint's generation_config names, out of `SAMPLING`.

    What is out of bounds is left out and logged. Raises OSError and ValueError for a broken file.
    """
    config = _read(folder)
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


def read_samples(folder: Path) -> bool:
    """Tell whether a checkpoint's makers sample; raises OSError or ValueError for a broken file."""
    return _read(folder).get("do_sample") is True


def _read(folder: Path) -> dict[str, Any]:
    file = folder / FILE
    config: dict[str, Any] = json.loads(file.read_text("utf-8-sig")) if file.is_file() else {}
    return config


def for_thinking(params: GenerationParams, recommended: Mapping[str, float]) -> GenerationParams:
    """Return parameters for the thinking of a model whose makers sample.

    The most likely thoughts run in circles, and their answer is not sampled for it: a seed that is
    always the same makes equal requests think the same.
    """
    if params.do_sample:
        return params
    usual = GenerationParams()
    open_ = {n: v for n, v in recommended.items() if getattr(params, n) == getattr(usual, n)}
    return params.model_copy(update={**open_, "do_sample": True, "seed": params.seed or 0})


def with_recommended(
    params: GenerationParams, recommended: Mapping[str, float]
) -> GenerationParams:
    """Return the parameters, the recommended ones in place of what the request leaves open."""
    if not params.do_sample:
        return params
    names = [name for name in params.from_model if name in recommended]
    return params.model_copy(update={name: recommended[name] for name in names})

"""Whether the model that a request names is loaded."""

from __future__ import annotations

from collections.abc import Sequence

from shared.errors import ModelNotFound
from shared.excerpt import excerpt
from shared.prediction.heartbeat import Heartbeat

#: Stands for whatever model is loaded.
ANY_MODEL = "sightline"


def check_model(name: str, workers: Sequence[Heartbeat]) -> None:
    """Raise ModelNotFound for a model that none of these workers has loaded."""
    loaded = {worker.model for worker in workers}
    if loaded and name not in loaded | {ANY_MODEL}:
        known = ", ".join(sorted(loaded))
        raise ModelNotFound(
            f"The model {excerpt(name)!r} is not loaded; loaded: {known}.", pointer="/model"
        )

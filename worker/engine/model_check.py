"""`python -m worker.engine.model_check`: opens the model without its weights, says what computes.

`make config-check` runs it in a process of its own, because only workers have torch.
"""

from __future__ import annotations

import sys
from pathlib import Path

from shared.settings import Settings
from worker.engine.checkpoint.folder import HUB_ID, describe_error, find_folder
from worker.engine.checkpoint.opening import open_checkpoint
from worker.engine.loader import read_about
from worker.engine.ops.choice import choose_ops
from worker.engine.ops.numerics import choose_numerics


def describe_arithmetic(settings: Settings) -> str:
    """Return what would compute the model on this machine; raises as `load_model` does.

    A model of the hub is not downloaded for it.
    """
    if not Path(settings.model).exists() and HUB_ID.fullmatch(settings.model):
        return "known once the model is downloaded"
    folder = find_folder(settings.model)
    if settings.generic:
        return _describe_generic(folder, settings)
    shape = open_checkpoint(folder).shape
    wanted = read_about(folder, settings.model).get("numerics")
    numerics = choose_numerics(settings, shape, wanted)
    ops = choose_ops(settings, shape, numerics.name)
    return f"{ops.name} ({numerics.name}: {numerics.reason})"


def _describe_generic(folder: Path, settings: Settings) -> str:
    from worker.engine.generic.opening import open_checkpoint as open_generic

    opened = open_generic(folder, settings)
    return f"{opened.arithmetic} ({opened.numerics.reason}), one request at a time"


def main() -> int:
    """Print the arithmetic; return 1 with the reason if the model cannot be loaded."""
    settings = Settings()
    try:
        sys.stdout.write(describe_arithmetic(settings) + "\n")
    except Exception as error:  # noqa: BLE001 - as in load_model
        sys.stderr.write(f"{settings.model}: {describe_error(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

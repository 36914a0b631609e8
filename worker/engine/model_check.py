"""`python -m worker.engine.model_check`: opens the model without its weights, says what computes.

Its second line, if there is one, is a risk.

`make config-check` runs it in a process of its own, because only workers have torch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from shared.catalog.model_place import find_place
from shared.settings import Settings
from shared.system_memory import total_bytes
from worker.engine.checkpoint.folder import find_folder
from worker.engine.checkpoint.opening import open_checkpoint
from worker.engine.loader import read_about
from worker.engine.memory.budget import TokenCosts
from worker.engine.memory.weight_need import weight_bytes
from worker.engine.ops.choice import choose_ops
from worker.engine.ops.numerics import choose_numerics
from worker.reasons import describe_error
from worker.weights.fetching import is_here

#: Bytes by which people count memory.
_GB = 1_000_000_000


def describe_arithmetic(settings: Settings, memory: int | None = None) -> Iterator[str]:
    """Yield what would compute the model on this machine, and a risk if memory would not do.

    `memory` are the machine's bytes, None where they are unknown. A model of the hub is not
    downloaded for it. Raises as `load_model` does.
    """
    if not is_here(find_place(settings.model), settings.model_revision, settings.weights_dir):
        yield "known once the model is downloaded"
        return
    folder = find_folder(settings)
    if settings.generic:
        yield _describe_generic(folder, settings)
        return
    shape = open_checkpoint(folder).shape
    wanted = read_about(folder, settings.model).get("numerics")
    numerics = choose_numerics(settings, shape, wanted)
    ops = choose_ops(settings, shape, numerics.name)
    need = weight_bytes(shape, numerics.name)
    token = TokenCosts.of(shape, ops.text.dtype.itemsize).kv
    yield (
        f"{ops.name} ({numerics.name}: {numerics.reason}); a worker takes about"
        f" {need / _GB:.1f} GB, and {token / 1000:.0f} MB for 1000 tokens of a conversation"
    )
    if memory is not None and need > memory:
        yield (
            f"the model takes about {need / _GB:.1f} GB in {numerics.name}, and this machine has"
            f" {memory / _GB:.1f} GB: choose a smaller model, or fewer bits by SIGHTLINE_NUMERICS"
        )


def _describe_generic(folder: Path, settings: Settings) -> str:
    from worker.engine.generic.opening import open_checkpoint as open_generic

    opened = open_generic(folder, settings)
    return f"{opened.arithmetic} ({opened.numerics.reason}), one request at a time"


def main() -> int:
    """Print the arithmetic; return 1 with the reason if the model cannot be loaded."""
    settings = Settings()
    try:
        for line in describe_arithmetic(settings, total_bytes()):
            sys.stdout.write(line + "\n")
    except Exception as error:  # noqa: BLE001 - as in load_model
        sys.stderr.write(f"{settings.model}: {describe_error(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

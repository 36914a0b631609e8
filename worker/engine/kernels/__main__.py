"""`python -m worker.engine.kernels`: compiles the kernels, and says what runs on this CPU.

With `--all` for every CPU of this kind of machine: images are built with a compiler and run
without one, on other machines than they were built on.
"""

from __future__ import annotations

import os
import subprocess
import sys

from worker.engine.kernels.compiling import compiled_library
from worker.engine.kernels.instructions import choose_instructions, list_for_machine


def main() -> int:
    """Print a line for each instruction set; return 1 if a library cannot be compiled."""
    chosen = choose_instructions(os.environ.get("SIGHTLINE_INSTRUCTIONS") or "auto")
    everything = "--all" in sys.argv[1:]
    wanted = list_for_machine() if everything else [one for one in (chosen,) if one]
    failed = False
    for instructions in wanted:
        try:
            place = str(compiled_library(instructions))
        except (OSError, subprocess.SubprocessError) as error:
            place, failed = f"not compiled: {error}", True
        sys.stdout.write(f"{instructions.name}: {place}\n")
    sys.stdout.write(f"on this CPU runs: {chosen.title if chosen else 'oneDNN or torch'}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

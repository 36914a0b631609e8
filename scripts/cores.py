"""Decides how many cores the model computes on, and starts a command with that many threads.

`python -m scripts.cores celery -A worker.app worker …`: OpenMP reads its variables once, when
torch is loaded, so they must be set before the process starts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from shared import cpu_cores


def environment(environ: Mapping[str, str], cores: int) -> dict[str, str]:
    """Return the variables that keep the model's arithmetic on `cores` cores or fewer.

    Variables that are set stay as they are. Threads are not bound to cores (OMP_PROC_BIND): a bound
    thread binds the threads that it starts, and beside other programs it waits although another
    core is idle. Answers took twice as long with it.
    """
    threads = str(int(environ.get("SIGHTLINE_THREADS") or cores))
    variables = {
        "SIGHTLINE_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {name: environ.get(name) or value for name, value in variables.items()}


def main() -> None:
    """Replace this process by the command on the command line."""
    command = sys.argv[1:]
    if not command:
        sys.exit("usage: python -m scripts.cores COMMAND …")
    try:
        os.environ.update(environment(os.environ, cpu_cores.owned()))
        os.execvp(command[0], command)
    except (OSError, ValueError) as error:
        sys.exit(f"cores: {command[0]}: {error}")


if __name__ == "__main__":
    main()

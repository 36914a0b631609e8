"""Runs a program as the next version of the service would: rows say more, and bear a higher number.

`python -m tests.support.newer_version celery -A worker.app worker …`
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import shared.jobs
import shared.jobs.model


class NewerInput(shared.jobs.JobInput):
    """A job that also says in what tone it wants to be answered."""

    tone: str = "plain"


def main() -> None:
    """Change the words of a job before anybody else has read them, then run the program."""
    for module in (shared.jobs, shared.jobs.model):
        module.JobInput = NewerInput  # type: ignore[misc]
        module.ROW_VERSION += 1
    sys.argv = sys.argv[1:]
    (program,) = entry_points(group="console_scripts", name=sys.argv[0])
    sys.exit(program.load()())


if __name__ == "__main__":
    main()

"""Runs a program as the next version of the service: one more row field, a higher ROW_VERSION.

`python -m tests.support.workers.newer_version celery -A worker.app worker …`
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import Any

import shared.jobs
import shared.jobs.model


class NewerInput(shared.jobs.JobInput):
    """The input of a job with a field that the present version does not know."""

    tone: str = "plain"

    @property
    def row_version(self) -> int:
        """Return the version that has the field."""
        return shared.jobs.model.ROW_VERSION


def main() -> None:
    """Replace `JobInput` before any other module imports it, then run the program."""
    modules: list[Any] = [shared.jobs, shared.jobs.model]
    for module in modules:
        module.JobInput = NewerInput
        module.ROW_VERSION += 1
    sys.argv = sys.argv[1:]
    (program,) = entry_points(group="console_scripts", name=sys.argv[0])
    sys.exit(program.load()())


if __name__ == "__main__":
    main()

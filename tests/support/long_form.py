"""Which cases of a table `make test` runs, and which wait for `make test-long`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

_LONG = pytest.mark.long


def crossed(rows: Iterable[Any], columns: Iterable[Any]) -> list[Any]:
    """Return every pair; in the short form each row is met once, with the columns in turn."""
    across = list(columns)
    return [
        pytest.param(row, column, marks=() if number % len(across) == at else _LONG)
        for number, row in enumerate(rows)
        for at, column in enumerate(across)
    ]


def ends_of(cases: Iterable[Any]) -> list[Any]:
    """Return all cases; in the short form only the first and the last of them are met."""
    every = list(cases)
    return [
        pytest.param(case, marks=_LONG if 0 < number < len(every) - 1 else ())
        for number, case in enumerate(every)
    ]

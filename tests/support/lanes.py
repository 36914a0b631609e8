"""The order of the tests of a run in lanes: those that wait beside those that compute."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import pytest

from tests.support.harness import ROOT


def spread_folders(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the items with the files of each folder of `tests/` spread over the whole run.

    Integration tests mostly wait for processes and leave the cores idle; those of units and of the
    model compute. Folder by folder the cores would rest first and be too few afterwards. The order
    of files within a folder stays, and that of tests within a file.
    """
    folders: dict[str, list[list[pytest.Item]]] = {}
    for path, tests in groupby(items, key=lambda item: item.path):
        folder = path.relative_to(ROOT / "tests").parts[0]
        folders.setdefault(folder, []).append(list(tests))
    places = [
        (number / len(files), file)
        for files in folders.values()
        for number, file in enumerate(files)
    ]
    return [item for _, file in sorted(places, key=lambda place: place[0]) for item in file]

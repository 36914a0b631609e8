"""Finds the service that `make up` started from the folder in which this client is used."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def find_running_url() -> str | None:
    """Return the address of the one service that runs here; None if there is none, or several."""
    urls = {url for folder in _run_folders() for url in _running_urls(folder)}
    return urls.pop() if len(urls) == 1 else None


def _run_folders() -> Iterator[Path]:
    """Yield where the launcher keeps its run directories."""
    if named := os.environ.get("SIGHTLINE_RUN_DIR"):
        yield Path(named)
        return
    # in the folder of the service, or with the Python environment inside it
    yield Path.cwd() / ".run"
    yield Path(sys.prefix).parent / ".run"


def _running_urls(folder: Path) -> Iterator[str]:
    for url_file in folder.glob("*/url"):
        if _launcher_runs(url_file.parent):
            yield url_file.read_text().strip()


def _launcher_runs(directory: Path) -> bool:
    try:
        pid = int(json.loads((directory / "up.pid").read_text())["pid"])
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True

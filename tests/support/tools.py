"""Finds the programs that tests need besides Python: node, a browser, promtool."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

NODE = Path(__file__).resolve().parents[1] / "node"
_INSTALL = "scripts/test_tools.sh installs it"


def node() -> str:
    """Return the path of node, if the packages of tests/node are installed."""
    program = shutil.which("node")
    packages = json.loads((NODE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    if program and all((NODE / "node_modules" / name).is_dir() for name in packages):
        return program
    return missing("node with the packages of tests/node")


def browser() -> str:
    """Return the path of a browser that playwright can drive."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if program := shutil.which(name):
            return program
    return missing("Chromium")


def promtool() -> str:
    """Return the path of promtool, which checks Prometheus' files."""
    beside_python = Path(sys.executable).parent / "promtool"
    return shutil.which("promtool") or (
        str(beside_python) if beside_python.exists() else missing("promtool")
    )


def missing(what: str) -> NoReturn:
    """Skip the test; in CI, where nobody would notice that, fail it."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing; {_INSTALL}")
    pytest.skip(f"{what} is missing; {_INSTALL}")


def other_clients() -> str:
    """Return the Python of the environment with the libraries of `tests/clients`."""
    root = Path(__file__).resolve().parents[2]
    python = Path(os.environ.get("CLIENTS_PYTHON", root / ".venv-clients" / "bin" / "python"))
    if python.exists():
        return str(python)
    pytest.skip("the libraries of other clients are not installed: make test-clients")

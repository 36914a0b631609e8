"""Programs that tests need beside Python: node with its packages, a browser, promtool."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

NODE = Path(__file__).resolve().parents[1] / "node"
_INSTALL = "scripts/test_tools.sh installs it"


def node() -> str:
    """Return the program that runs JavaScript, once the packages of tests/node are there."""
    program = shutil.which("node")
    if program and (NODE / "node_modules" / ".package-lock.json").exists():
        return program
    return missing("node with the packages of tests/node")


def browser() -> str:
    """Return a browser that playwright can drive."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if program := shutil.which(name):
            return program
    return missing("Chromium")


def promtool() -> str:
    """Return the program that checks Prometheus' files."""
    beside_python = Path(sys.executable).parent / "promtool"
    return shutil.which("promtool") or (
        str(beside_python) if beside_python.exists() else missing("promtool")
    )


def missing(what: str) -> str:
    """Skip the test where a person runs it, fail it where nobody would notice the skip."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing; {_INSTALL}")
    pytest.skip(f"{what} is missing; {_INSTALL}")

"""The command line against the gateway that all tests of a file share."""

from __future__ import annotations

import pytest

from sightline.cli import main


@pytest.fixture
def run(served, monkeypatch, capsys):
    """Run a command line; return its status, output and errors."""
    monkeypatch.setenv("SIGHTLINE_URL", str(served.http.base_url))

    def command(*words):
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command

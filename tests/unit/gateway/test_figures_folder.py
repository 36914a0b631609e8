"""The folders in which gateways share their metrics: what a killed one leaves is removed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

MAKE = (
    "import os, sys; from gateway.metrics.figures_folder import make_figures_folder; "
    "print(make_figures_folder(), flush=True); "
)
WAIT = "sys.stdin.read()"


def test_folders_of_killed_gateways_are_removed_and_no_others(tmp_path: Path) -> None:
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}

    def begin(then: str) -> tuple[subprocess.Popen[str], Path]:
        process = opened.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", MAKE + then],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert process.stdout
        return process, Path(process.stdout.readline().strip())

    older = tmp_path / "sightline-figures-older"
    older.mkdir()
    (tmp_path / "sightline-figures-link").symlink_to(older)
    with contextlib.ExitStack() as opened:
        _, kept = begin(WAIT)
        # its child goes on and writes there, as those of a killed arbiter do for a while
        parent, shared = begin(f"os.fork() or {WAIT}")
        killed, left = begin(WAIT)
        killed.kill()
        for process in (killed, parent):
            process.wait()
        _, mine = begin(WAIT)
        assert not left.exists()
        assert all(folder.is_dir() for folder in (kept, shared, mine, older))
    with contextlib.ExitStack() as opened:
        begin("")
    assert not any(folder.exists() for folder in (kept, mine))
    assert older.is_dir()

"""The stage of the image that compiles the kernels has all that it imports."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_files_of_the_stage_are_enough_without_any_package(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    stage = re.split(r"^FROM ", text.partition("AS kernels\n")[2], flags=re.MULTILINE)[0]
    copies = re.findall(r"^COPY (.+) (\S+)$", stage, re.MULTILINE)
    assert copies
    for sources, target in copies:
        for source in sources.split():
            _copy(ROOT / source, tmp_path / target)
    command = [sys.executable, "-S", "-E", "-c", "import worker.engine.kernels.__main__"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
        return
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)

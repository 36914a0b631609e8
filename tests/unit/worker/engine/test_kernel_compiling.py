"""The kernels are compiled once, whoever asks and whatever an earlier attempt left behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from worker.engine.kernels import compiling
from worker.engine.kernels.instructions import INSTRUCTION_SETS

ROOT = Path(__file__).parents[4]
FIRST = INSTRUCTION_SETS[0]
#: A compiler that notes each call and takes a while; its last argument is the library.
SLOW = """#!/bin/sh
echo called >> "$CALLS"
sleep 0.5
for last; do :; done
echo library > "$last"
"""
BROKEN = """#!/bin/sh
echo called >> "$CALLS"
echo unknown option >&2
exit 1
"""
ASK = """
from worker.engine.kernels.compiling import compiled_library
from worker.engine.kernels.instructions import INSTRUCTION_SETS
print(compiled_library(INSTRUCTION_SETS[0]).read_text(), end="")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where compilers and the cache are; no other compiler is on PATH."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "sleep"):
        (tmp_path / "bin" / tool).symlink_to(f"/bin/{tool}")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def _install(folder: Path, script: str) -> None:
    compiler = folder / "bin" / "g++"
    compiler.write_text(script)
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)


def _calls(folder: Path) -> int:
    calls = folder / "calls"
    return len(calls.read_text().splitlines()) if calls.exists() else 0


def test_processes_that_start_together_compile_once(folder: Path) -> None:
    _install(folder, SLOW)
    library = compiling.library_path(FIRST)
    # a killed process holds no lock, and what it wrote is cleared away
    left_behind = library.parent / f"{library.stem}-killed"
    left_behind.mkdir(parents=True)
    library.with_suffix(".lock").touch()
    command = [sys.executable, "-c", ASK]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert said == ["library\n"] * 3
    assert _calls(folder) == 1
    assert not left_behind.exists()


def test_what_was_begun_before_is_what_is_returned(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(folder, SLOW)
    monkeypatch.setattr(compiling, "list_usable", lambda _: [FIRST])
    compiling.begin_compiling()
    assert compiling.compiled_library(FIRST).read_text() == "library\n"
    compiling.begin_compiling()
    assert _calls(folder) == 1
    # somebody cleared the cache: nothing that was true before is believed
    compiling.library_path(FIRST).unlink()
    assert compiling.compiled_library(FIRST).is_file()
    assert _calls(folder) == 2


def test_a_failure_is_told_to_whoever_asks_and_not_repeated(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(folder, BROKEN)
    monkeypatch.setattr(compiling, "list_usable", lambda _: [FIRST])
    compiling.begin_compiling()
    for _ in range(2):
        with pytest.raises(OSError, match="unknown option"):
            compiling.compiled_library(FIRST)
    assert _calls(folder) == 1
    assert not compiling.library_path(FIRST).exists()


def test_without_a_compiler_or_a_folder_the_reason_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError, match="no C\\+\\+ compiler"):
        compiling.compiled_library(FIRST)
    _install(folder, SLOW)
    # a file stands where the folder would be, as for a user who may not write there
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "bin" / "g++"))
    with pytest.raises(OSError, match="g\\+\\+"):
        compiling.compiled_library(FIRST)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(OSError, match="XDG_CACHE_HOME"):
        compiling.compiled_library(FIRST)

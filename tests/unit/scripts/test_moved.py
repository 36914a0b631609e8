"""A folder that was moved or copied: its Python environment is noticed and made again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.service import preflight
from scripts.service.instance import InstanceError
from tests.support.harness import ROOT


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A folder with an environment in it, as `make up` makes one."""
    folder = tmp_path_factory.mktemp("cloned") / "clone"
    subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
    return folder


@pytest.fixture
def moved_clone(clone) -> Iterator[Path]:
    """The same folder under another name, for a test."""
    place = clone.rename(clone.with_name("moved"))
    yield place
    place.rename(clone)


def _moved(folder: Path) -> str:
    command = [ROOT / "scripts" / "moved.sh", folder / ".venv"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _planned(folder: Path, *words: str) -> str:
    """Return what `make install` would run for the environment of this folder."""
    venv = folder / ".venv"
    for stamp in (".installed-model", ".installed-dev"):
        (venv / stamp).touch()
    command = ["make", "-n", "install", f"VENV={venv}", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_an_environment_that_stayed_where_it_was_is_left_alone(clone):
    assert _moved(clone) == ""
    assert "install.sh" not in _planned(clone)
    preflight.check_environment(clone / ".venv" / "bin")


def test_a_moved_environment_is_made_again(moved_clone):
    assert _moved(moved_clone) == "moved"
    assert f"scripts/install.sh {moved_clone}/.venv model" in _planned(moved_clone)


def test_a_copied_environment_whose_first_folder_still_exists_is_made_again(clone):
    place = Path(shutil.copytree(clone, clone.with_name("copy"), symlinks=True))
    assert _moved(place) == "moved"
    assert _moved(clone) == ""


def test_an_environment_behind_a_link_is_not_moved(clone):
    (clone.parent / "other").mkdir()
    (clone.parent / "other" / ".venv").symlink_to(clone / ".venv")
    assert _moved(clone.parent / "other") == ""


def test_without_an_environment_nothing_was_moved(tmp_path):
    assert _moved(tmp_path) == ""


def test_make_up_says_what_to_do_about_a_moved_environment(moved_clone):
    with pytest.raises(InstanceError, match=r"made in another folder.*make install"):
        preflight.check_environment(moved_clone / ".venv" / "bin")


def test_further_extras_are_installed_into_an_environment_that_is_complete(clone):
    planned = _planned(clone, "EXTRAS=heic,otel")
    assert f"scripts/install.sh {clone}/.venv model,reader,examples,heic,otel" in planned

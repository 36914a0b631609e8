"""What goes into a bundle, how its files are verified, and for which machines it is."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import bundle
from scripts.bundle import Bundle
from scripts.service.instance import ROOT
from shared.settings import Settings
from tests.support.servers.model_hub import tiny_model

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of a few files, some of them private or only for its makers."""
    root = tmp_path / "project"
    for file in (
        "Makefile", "gateway/app.py", "gateway/__pycache__/app.pyc", "tests/test_a.py", ".env",
        "deploy/Dockerfile", "deploy/secrets/queue", "deploy/settings.env", ".venv/bin/python",
        "offline/wheels/old.whl", "dist/old.tar", ".env.example",
    ):  # fmt: skip
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(file)
    monkeypatch.setattr(bundle, "ROOT", root)
    return root


@pytest.mark.parametrize("with_git", [False, True])
def test_only_the_project_goes_in_and_nobodys_secrets(with_git, project, tmp_path):
    if with_git:
        subprocess.run(["git", "init", "-q"], cwd=project, check=True)
        (project / ".gitignore").write_text(".venv/\n.env\n__pycache__/\n")
    made = Bundle(tmp_path / "made")
    made.copy_project()
    files = {str(f.relative_to(made.folder)) for f in made.folder.rglob("*") if f.is_file()}
    assert files - {".gitignore"} == {
        "Makefile", "gateway/app.py", "deploy/Dockerfile", ".env.example",
    }  # fmt: skip


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(folder / "offline/verify.sh")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_changed_and_a_missing_file_are_named(project, tmp_path):
    made = Bundle(tmp_path / "made")
    made.copy_project()
    (made.offline / "wheels").mkdir(parents=True)
    (made.offline / "wheels/flask-3.1-py3-none-any.whl").write_bytes(b"wheel")
    made.describe("modelscope:Qwen/Tiny", "offline/weights/Qwen--Tiny")
    made.seal()
    assert verify(made.folder).returncode == 0
    about = (made.offline / "VERSIONS.txt").read_text()
    assert "flask-3.1" in about
    assert "model modelscope:Qwen/Tiny" in about
    # settings are the operator's to change
    (made.folder / ".env").write_text("SIGHTLINE_MODEL=/models/other\n")
    assert verify(made.folder).returncode == 0
    (made.folder / "Makefile").write_text("changed")
    (made.folder / "gateway/app.py").unlink()
    differing = verify(made.folder)
    assert differing.returncode == 1
    assert "Makefile: FAILED" in differing.stdout
    assert "gateway/app.py: FAILED open or read" in differing.stdout


def test_of_a_models_folder_only_what_is_needed_goes_in_and_all_of_that(tmp_path):
    source = tmp_path / "model"
    source.mkdir()
    for name, content in tiny_model(1000).items():
        (source / name).write_bytes(content)
    made = Bundle(tmp_path / "made")
    value = made.collect_weights(str(source), Settings())
    assert value == "offline/weights/model"
    held = {file.name for file in (made.folder / value).iterdir()}
    assert held == set(tiny_model(1000)) - {
        "pytorch_model.bin", "model.onnx", "model-q4.gguf", "consolidated.safetensors", "README.md",
    }  # fmt: skip
    (source / "model-00002-of-00002.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"model-00002-of-00002\.safetensors is missing or not"):
        Bundle(tmp_path / "other").collect_weights(str(source), Settings())


@pytest.mark.parametrize(
    ("machine", "python", "line"),
    [
        ("sparc64", PYTHON, "this bundle is for sparc64"),
        (platform.machine(), "3.99", "this bundle needs Python 3.99; name it: make up PYTHON="),
    ],
)
def test_a_bundle_for_another_machine_or_python_says_so(machine, python, line, tmp_path):
    (tmp_path / "scripts").mkdir()
    for name in ("install.sh", "moved.sh"):
        shutil.copy2(ROOT / "scripts" / name, tmp_path / "scripts" / name)
    (tmp_path / "offline/wheels").mkdir(parents=True)
    (tmp_path / "offline/machine").write_text(machine)
    (tmp_path / "offline/python").write_text(python)
    done = subprocess.run(
        [tmp_path / "scripts/install.sh", ".venv", "model"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert line in done.stderr
    assert not (tmp_path / ".venv").exists()

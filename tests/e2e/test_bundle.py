"""A bundle installs, starts and answers where there is no network and next to no program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.harness import ROOT
from tests.support.servers.model_hub import running_hub

pytestmark = [pytest.mark.long, pytest.mark.model, pytest.mark.timeout(2400)]

#: All that such a machine has, beside this Python.
PROGRAMS = (
    "bash sh make env cat cp cut dirname du expand find flock getconf grep head id ln mkdir mktemp"
    " mv rm sed sha256sum sleep tail touch tr uname wc"
)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A bundle of a downloaded model, made here and unpacked in a new folder."""
    folder = tmp_path_factory.mktemp("bundle")
    checkpoint = (ROOT / "demo/checkpoint").iterdir()
    files = {file.name: file.read_bytes() for file in checkpoint if file.is_file()}
    with running_hub({**files, "model.gguf": b"GGUF"}) as hub:
        environ = {
            **os.environ,
            "MODEL": "modelscope:Qwen/Tiny",
            "MODELSCOPE_ENDPOINT": hub.url,
            "SIGHTLINE_WEIGHTS_DIR": str(folder / "cache"),
        }
        command = [sys.executable, "-m", "scripts.bundle", "--to", str(folder / "sightline")]
        subprocess.run(command, cwd=ROOT, env=environ, check=True)
    shutil.rmtree(folder / "sightline")
    shutil.rmtree(folder / "cache")
    fresh = folder / "elsewhere"
    fresh.mkdir()
    subprocess.run(["tar", "xf", folder / "sightline.tar", "-C", fresh], check=True)
    return fresh / "sightline"


def bare_path(folder: Path) -> str:
    """Return a PATH on which only the named programs are."""
    folder.mkdir()
    for name in PROGRAMS.split():
        place = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
        assert place, name
        (folder / name).symlink_to(place)
    (folder / "python3").symlink_to(Path(sys._base_executable).resolve())
    return str(folder)


def test_it_installs_and_answers_without_network(unpacked, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    environ = {"PATH": bare_path(tmp_path / "bin"), "HOME": str(home), "LANG": "C.UTF-8"}
    subprocess.run([unpacked / "offline/verify.sh"], env=environ, check=True)
    # a network of its own that has only loopback
    alone = ["unshare", "--net", sys.executable, str(ROOT / "tests/support/offline_visitor.py")]
    done = subprocess.run(
        [shutil.which(alone[0]), *alone[1:], str(unpacked)],
        env=environ,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "offline/weights/Qwen--Tiny" in done.stdout
    assert "compiled kernels" in done.stdout
    assert "answer: " in done.stdout

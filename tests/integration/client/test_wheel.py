"""The client's wheel: it builds, installs alone, and has types."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.support.harness import ROOT

pytestmark = pytest.mark.timeout(300)

_TYPED = """
from sightline import Client, JobFailed, verify_webhook

with Client() as client:
    text: str = client.ask("?", "a.png", max_new_tokens=3).text
    client.submit("?", max_new_tokens="3")
    client.ask("?", colour="red")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(
        ROOT / "client", folder / "client", ignore=shutil.ignore_patterns("*.egg-info", "build")
    )
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--disable-pip-version-check",
    ]
    subprocess.run([*command, "-w", str(folder), str(source)], check=True)
    (wheel_path,) = folder.glob("sightline-*.whl")
    return wheel_path


@pytest.fixture(scope="module")
def alone(wheel, tmp_path_factory):
    """A folder with the wheel's content and nothing of ours beside it."""
    folder = tmp_path_factory.mktemp("alone")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_holds_the_package_and_its_types_and_wants_httpx_alone(alone):
    (metadata,) = alone.glob("*.dist-info/METADATA")
    wanted = [
        line for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist")
    ]
    needed = [line for line in wanted if "extra ==" not in line]
    assert [line.split(":")[1].split("<")[0].strip() for line in needed] == ["httpx"]
    assert (alone / "sightline" / "py.typed").exists()
    assert (alone / "sightline" / "cli" / "parser.py").exists()
    assert not (alone / "shared").exists()


def test_the_command_starts_from_the_wheel_alone(alone):
    completed = subprocess.run(
        [sys.executable, "-m", "sightline", "--version"],
        cwd=alone,
        env={"PYTHONPATH": str(alone)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout.startswith("sightline 0.")


def test_a_type_checker_sees_what_is_wrong_with_a_call(alone):
    (alone / "caller.py").write_text(_TYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "caller.py"]
    completed = subprocess.run(
        [*command, "--cache-dir=/dev/null"], cwd=alone, capture_output=True, text=True, check=False
    )
    errors = [line for line in completed.stdout.splitlines() if ": error: " in line]
    wrong = [line for line in errors if line.startswith("caller.py:")]
    assert [int(line.split(":")[1]) for line in wrong] == [6, 7], completed.stdout

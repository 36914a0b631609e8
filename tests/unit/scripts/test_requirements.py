"""The packages of the images: read from pyproject.toml, in the versions of the lock file."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import requirements
from tests.support.harness import ROOT

LOCK = (ROOT / "deploy" / "constraints.txt").read_text()
LOCKED = [Requirement(line) for line in LOCK.splitlines() if line and not line.startswith("#")]


def test_the_extras_that_are_asked_for_are_listed_and_no_others():
    plain = requirements.list_requirements([])
    assert any(line.startswith("flask>") for line in plain)
    assert not any(line.startswith(("torch", "pillow-heif")) for line in plain)
    more = set(requirements.list_requirements(["model", "heic"])) - set(plain)
    names = {Requirement(line).name for line in more}
    assert names >= {"torch", "transformers", "pillow-heif"}


def test_an_unknown_extra_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match=r"no extra hiec; there are model, reader, otel, "):
        requirements.list_requirements(["hiec"])


def test_it_runs_without_any_package():
    command = [sys.executable, "-I", "-S", ROOT / "scripts" / "requirements.py", "heic,otel"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.split() == requirements.list_requirements(["heic", "otel"])


@pytest.mark.parametrize("extra", ["model", "heic", "otel", "redis", "dev"])
def test_the_lock_file_has_a_version_of_every_package_that_fits(extra):
    locked = {canonicalize_name(one.name): one for one in LOCKED if _applies(one)}
    for wanted in map(Requirement, requirements.list_requirements([extra])):
        (pin,) = locked[canonicalize_name(wanted.name)].specifier
        assert wanted.specifier.contains(pin.version), wanted.name


def test_the_lock_file_has_all_that_the_packages_need_in_turn():
    locked = {canonicalize_name(one.name) for one in LOCKED}
    for name in ("celery", "flask", "transformers", "httpx", "opentelemetry-sdk"):
        for wanted in map(Requirement, distribution(name).requires or ()):
            if wanted.marker is None:
                assert canonicalize_name(wanted.name) in locked, f"{name} needs {wanted.name}"


def test_the_lock_file_pins_versions_names_no_place_and_needs_no_gpu():
    assert {pin.operator for one in LOCKED for pin in one.specifier} == {"=="}
    assert not re.search(r"://|file:|--|@ ", LOCK)
    assert not re.search(r"^(nvidia|cuda|triton)", LOCK, re.MULTILINE)


def test_torch_has_the_same_version_wherever_it_is_named():
    (pin,) = next(one for one in LOCKED if one.name == "torch").specifier
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert f"ARG TORCH_VERSION={pin.version}\n" in dockerfile
    install = (ROOT / "scripts" / "install.sh").read_text()
    assert f"TORCH_VERSION:-{pin.version}}}" in install


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate()

"""How many cores the model gets, and how processes claim them."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import cores
from scripts.instance import ROOT


def topology(folder: Path, siblings: list[str]) -> Path:
    for cpu, line in enumerate(siblings):
        place = folder / f"cpu{cpu}" / "topology"
        place.mkdir(parents=True)
        (place / "thread_siblings_list").write_text(line + "\n")
    return folder


def test_two_hyperthreads_are_one_core(tmp_path):
    folder = topology(tmp_path, ["0,2", "1,3", "0,2", "1,3"])
    assert cores.count_physical(range(4), folder) == 2


def test_without_topology_every_cpu_is_a_core(tmp_path):
    assert cores.count_physical(range(3), tmp_path) == 3


@pytest.mark.parametrize(
    ("text", "cpus"), [("150000 100000", 1.5), ("max 100000", math.inf), ("", math.inf)]
)
def test_the_containers_quota_is_read(tmp_path, text, cpus):
    path = tmp_path / "cpu.max"
    path.write_text(text)
    assert cores.quota(path) == cpus


def test_no_quota_file_means_no_quota(tmp_path):
    assert cores.quota(tmp_path / "missing") == math.inf


def test_all_cores_are_taken():
    environ = cores.environment({}, 4)
    assert environ["OMP_NUM_THREADS"] == environ["SIGHTLINE_THREADS"] == "4"


def test_fewer_threads_are_taken_on_request():
    environ = cores.environment({"SIGHTLINE_THREADS": "2"}, 4)
    assert environ["OMP_NUM_THREADS"] == environ["SIGHTLINE_THREADS"] == "2"


def test_what_the_caller_has_set_stays():
    assert cores.environment({"OMP_NUM_THREADS": "1"}, 2)["OMP_NUM_THREADS"] == "1"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.cores", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "SIGHTLINE_THREADS": "1"},
    )


def test_the_command_starts_with_the_variables_set():
    assert run("sh", "-c", "echo $OMP_NUM_THREADS").stdout == "1\n"


def test_an_unknown_command_is_one_line():
    answer = run("no-such-program")
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert "no-such-program" in answer.stderr

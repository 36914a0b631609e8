"""How many cores the model gets, and how processes claim them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import cores
from scripts.service.instance import ROOT
from shared import cpu_cores


def topology(folder: Path, siblings: list[str]) -> Path:
    for cpu, line in enumerate(siblings):
        place = folder / f"cpu{cpu}" / "topology"
        place.mkdir(parents=True)
        (place / "thread_siblings_list").write_text(line + "\n")
    return folder


def test_two_hyperthreads_are_one_core(tmp_path):
    folder = topology(tmp_path, ["0,2", "1,3", "0,2", "1,3"])
    assert cpu_cores.count_physical(range(4), folder) == 2


def test_without_topology_every_cpu_is_a_core(tmp_path):
    assert cpu_cores.count_physical(range(3), tmp_path) == 3


def test_cores_are_sorted_by_the_memory_that_is_near(tmp_path):
    for node, line in {"node0": "0-3,8", "node1": "4-7", "node2": "", "node10": "9"}.items():
        (tmp_path / node).mkdir()
        (tmp_path / node / "cpulist").write_text(line + "\n")
    assert cpu_cores.memory_domains(range(10), tmp_path) == [[0, 1, 2, 3, 8], [4, 5, 6, 7], [9]]
    assert cpu_cores.memory_domains([2, 3, 5], tmp_path) == [[2, 3], [5]]
    assert cpu_cores.memory_domains([0, 11], tmp_path) == [[0, 11]]
    assert cpu_cores.memory_domains([1, 0], tmp_path / "missing") == [[0, 1]]


@pytest.mark.parametrize(
    ("cpus", "line"), [([], ""), ([3], "3"), ([0, 1, 2, 5, 7, 8], "0-2,5,7-8")]
)
def test_lists_of_cpus_are_written_as_taskset_reads_them(cpus, line):
    assert cpu_cores.write_list(cpus) == line


@pytest.mark.parametrize(
    ("text", "cpus"), [("150000 100000", 1.5), ("max 100000", math.inf), ("", math.inf)]
)
def test_the_containers_quota_is_read(tmp_path, text, cpus):
    (tmp_path / "cpu.max").write_text(text)
    assert cpu_cores.quota(tmp_path, tmp_path / "missing") == cpus


def test_no_quota_file_means_no_quota(tmp_path):
    assert cpu_cores.quota(tmp_path / "missing", tmp_path / "missing") == math.inf


@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("allowed", "cpus"), [("250000", 2.5), ("-1", math.inf)])
def test_a_quota_of_cgroup_v1_is_read(tmp_path, controllers, allowed, cpus):
    folder = tmp_path / controllers
    folder.mkdir()
    (folder / "cpu.cfs_quota_us").write_text(allowed + "\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu_cores.quota(tmp_path, tmp_path / "missing") == cpus


def test_the_smallest_quota_above_a_process_counts(tmp_path):
    own = tmp_path / "own"
    own.write_text("1:cpu,cpuacct:/kube/pod/worker\n2:memory:/kube\n")
    for level, allowed in (("kube", "400000"), ("kube/pod", "200000"), ("kube/pod/worker", "-1")):
        folder = tmp_path / "cpu,cpuacct" / level
        folder.mkdir(parents=True)
        (folder / "cpu.cfs_quota_us").write_text(allowed)
        (folder / "cpu.cfs_period_us").write_text("100000")
    assert cpu_cores.quota(tmp_path, own) == 2
    own.write_text("0::/system.slice/worker.service\n")
    service = tmp_path / "system.slice" / "worker.service"
    service.mkdir(parents=True)
    (service / "cpu.max").write_text("max 100000")
    assert cpu_cores.quota(tmp_path, own) == math.inf
    (service.parent / "cpu.max").write_text("150000 100000")
    assert cpu_cores.quota(tmp_path, own) == 1.5


def test_a_worker_that_is_pinned_to_some_cpus_counts_these():
    pinned = next(iter(os.sched_getaffinity(0)))
    command = ["taskset", "-c", str(pinned), sys.executable, "-c"]
    code = "from shared import cpu_cores; print(cpu_cores.owned())"
    answer = subprocess.run([*command, code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout == "1\n"


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

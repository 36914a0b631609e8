"""The load test of bench/locustfile.py, in a short form, against a real gateway."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

from tests.support.harness import ROOT


def _rows(served, folder, file: str, users: int, seconds: int) -> dict[str, dict[str, str]]:
    command = [sys.executable, "-m", "locust", "-f", file, "--headless", "--only-summary"]
    command += ["--host", str(served.http.base_url), "-u", str(users), "-r", str(users)]
    command += ["-t", f"{seconds}s", "--stop-timeout", "60", "--csv", str(folder / "load")]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}
    completed = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=150, check=False
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    with (folder / "load_stats.csv").open() as table:
        return {row["Name"]: row for row in csv.DictReader(table)}


def test_the_load_test_runs_unchanged_and_sees_no_failure(served, tmp_path):
    row = _rows(served, tmp_path, "bench/locustfile.py", 3, 6)["/predict"]
    assert int(row["Request Count"]) >= 1
    assert row["Failure Count"] == "0"


def test_the_mixed_load_test_sees_no_failure(served, tmp_path):
    rows = _rows(served, tmp_path, "bench/mixed_locustfile.py", 11, 12)
    assert {"first turn", "long page"} <= rows.keys()
    assert rows["Aggregated"]["Failure Count"] == "0"

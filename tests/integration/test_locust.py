"""The article's load test, in a short form, against a started gateway."""

from __future__ import annotations

import csv
import os
import subprocess

from tests.harness import BIN, ROOT


def test_the_load_test_runs_unchanged_and_sees_no_failure(served, tmp_path):
    command = [str(BIN / "locust"), "-f", "bench/locustfile.py", "--headless", "--only-summary"]
    command += ["--host", str(served.http.base_url), "-u", "3", "-r", "3", "-t", "6s"]
    command += ["--stop-timeout", "10", "--csv", str(tmp_path / "load")]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "load_stats.csv").open() as told:
        row = next(row for row in csv.DictReader(told) if row["Name"] == "/predict")
    assert int(row["Request Count"]) >= 3
    assert row["Failure Count"] == "0"

"""A worker that has lost a queue reads it again by itself, and its jobs are answered."""

from __future__ import annotations

import subprocess

from tests.support.harness import BIN, System, eventually


def test_a_worker_that_has_lost_a_queue_reads_it_again(system: System):
    command = [str(BIN / "celery"), "-A", "tests.support.workers.forgetful_worker", "worker"]
    command += ["-P", "threads", "-c", "2", "-Q", "high,default,low", "-n", "w@%h"]
    worker = system.spawn(command, "forgetful", {"SIGHTLINE_SLOTS": "2"})
    _, http = system.gateway()
    eventually(lambda: http.get("/readyz").status_code == 200)
    tell = [str(BIN / "celery"), "-A", "tests.support.workers.forgetful_worker", "control"]
    subprocess.run(
        [*tell, "forget_queue", "default"],
        env=system.env,
        check=True,
        capture_output=True,
        timeout=60,
    )
    eventually(lambda: "consumer.lost" in worker.logs())
    eventually(lambda: http.get("/readyz").status_code == 200)
    answer = http.post("/v1/jobs", json={"prompt": "?"}, headers={"Prefer": "wait=60"})
    assert answer.json()["status"] == "succeeded"
    assert worker.logs().count("consumer.lost") == 1

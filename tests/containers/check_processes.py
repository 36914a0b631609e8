"""Workers and gateways: shares of cores, deaths, upgrades, models."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from stack import (
    GATEWAY,
    PROXY,
    check,
    compose,
    container,
    end,
    eventually,
    fetch,
    inside,
    inspect,
    run,
    submit,
    tally,
    workers,
)


def check_workers() -> None:
    """Workers share the machine, hand jobs back, and are replaced when they die."""
    slow = {
        "MODEL": "simulated",
        "TOKEN_S": "0.3",
        "SLOTS": "4",
        "DRAIN_S": "3",
        "WORKER_CPUS": "1",
    }
    compose("up", "-d", "--no-deps", "--scale", "worker=3", "worker", **slow)
    check("three workers", workers(3, simulated=True))
    script = "for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ; done 2>/dev/null"
    lines = set(inside(container("worker", 2), "bash", "-c", script).split("\n"))
    threads = sorted(line for line in lines if line.startswith("OMP_NUM_THREADS="))
    check("each knows its share of the cores", threads == ["OMP_NUM_THREADS=1"], threads)
    ids = submit(12)
    time.sleep(2)
    run("docker", "stop", "-t", "50", container("worker", 2))
    jobs = end(ids)
    attempts = {job["metrics"]["attempt"] for job in jobs if job.get("metrics")}
    code = inspect(container("worker", 2), "{{.State.ExitCode}}")
    good = tally(jobs) == {"succeeded": 12} and attempts == {1} and code == "0"
    check(
        "a stopped worker hands its jobs back, uncounted",
        good,
        f"{tally(jobs)}, attempts {attempts}, exit {code}",
    )
    run("docker", "start", container("worker", 2))
    workers(3, simulated=True)
    ids = submit(12)
    time.sleep(2)
    processes = run("docker", "top", container("worker", 2), "-o", "pid,comm").stdout.split("\n")
    os.kill(next(int(line.split()[0]) for line in processes if "celery" in line), signal.SIGKILL)
    jobs = end(ids)
    attempts = {job["metrics"]["attempt"] for job in jobs if job.get("metrics")}
    good = tally(jobs) == {"succeeded": 12} and attempts == {1, 2}
    check(
        "jobs of a killed worker run again elsewhere", good, f"{tally(jobs)}, attempts {attempts}"
    )
    form = "{{.RestartCount}} {{.State.Status}}"
    restarted = eventually(lambda: inspect(container("worker", 2), form) == "1 running", 60)
    check("its container is started again", restarted)


def check_rolling() -> None:
    """Both gateways are replaced under load, and no submission is refused."""
    compose("--profile", "rolling", "up", "-d", "--no-deps", "--wait", "gateway-2", "proxy")
    eventually(lambda: fetch(f"{PROXY}/healthz")[0] == 200, 60)
    statuses: Counter[int] = Counter()
    ids: list[str] = []
    done = threading.Event()

    def keep_submitting() -> None:
        while not done.is_set():
            status, text = fetch(f"{PROXY}/v1/jobs", {"prompt": "hi", "max_new_tokens": 1})
            statuses[status] += 1
            if status != 202:
                sys.stderr.write(f"a job was refused: {status} {text[:300]!r}\n")
            else:
                ids.append(json.loads(text)["id"])
            time.sleep(0.05)

    callers = [threading.Thread(target=keep_submitting) for _ in range(4)]
    for caller in callers:
        caller.start()
    for name in ("gateway", "gateway-2"):
        compose("--profile", "rolling", "up", "-d", "--no-deps", "--force-recreate", "--wait", name)
        time.sleep(3)
    done.set()
    for caller in callers:
        caller.join()
    check(
        "no submission is refused while both gateways are replaced",
        set(statuses) == {202},
        dict(statuses),
    )
    jobs = tally(end(ids, 300))
    check("and every one of them is answered once", jobs == {"succeeded": len(ids)}, jobs)
    compose("--profile", "rolling", "rm", "-sf", "gateway-2", "proxy")


def check_model_folder() -> None:
    """A model of this machine's is mounted."""
    folder = Path("models-of-mine")
    shutil.copytree("demo/checkpoint", folder / "reader", dirs_exist_ok=True)
    compose("rm", "-sf", "worker")
    chosen = {"MODEL": "/models/reader", "MODELS": f"./{folder}"}
    compose("up", "-d", "--no-deps", "--scale", "worker=1", "--wait", "worker", **chosen)
    mounted = "/models" in inspect(container("worker"), "{{range .Mounts}}{{.Destination}} {{end}}")
    text = ""
    if workers(1, simulated=False):
        upload = ["-F", "image=@docs/examples/note.png", "-F", "prompt=What does it say?"]
        text = run("curl", "-s", *upload, f"{GATEWAY}/predict").stdout
    check("a mounted model answers", mounted and "Lisbon" in text, text[-300:].replace("\n", " "))

"""The running stack, for check.py: commands, requests, containers, jobs. Needs no package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECRETS = Path("deploy/secrets")
GATEWAY = f"http://127.0.0.1:{os.environ.get('PORT')}"
PROXY = f"http://127.0.0.1:{os.environ.get('PROXY_PORT')}"
#: Statuses that nothing changes any more, and those of a job that is not known (any more).
OVER = {"succeeded", "failed", "canceled", "expired", "404", "410"}
OURS = ["gateway", "worker", "courier", "flower"]
SERVICES = [*OURS, "redis-queue", "redis-cache"]
BEGAN = time.monotonic()
#: Whether each check that was made is good.
results: list[bool] = []
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def check(sentence: str, good: object, detail: object = "") -> None:
    """Record and print one result."""
    results.append(bool(good))
    mark = "ok    " if good else "FAILED"
    print(f"{time.monotonic() - BEGAN:5.0f}s  {mark}  {sentence}  {detail}", flush=True)


def run(
    *command: str, stdin: str | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a command; what a failing one said goes to standard error."""
    completed = subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, env=os.environ | environ
    )
    if completed.returncode:
        sys.stderr.write(f"{' '.join(command)[:200]}: {completed.stderr[-1500:]}\n")
    return completed


def compose(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `docker compose`."""
    return run("docker", "compose", *words, **environ)


def inside(container: str, *command: str, user: str = "") -> str:
    """Run a command in a container and return what it printed, without the last line's end."""
    options = ["--user", user] if user else []
    return run("docker", "exec", *options, container, *command).stdout.strip()


def inspect(container: str, form: str) -> str:
    """Return a part of `docker inspect`, as a Go template names it; empty without the container."""
    command = ["docker", "inspect", container, "--format", form]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def container(service: str, number: int = 1) -> str:
    """Return the name of a service's container."""
    return f"sightline-{service}-{number}"


def health(service: str, number: int = 1) -> str:
    """Return healthy, unhealthy, starting, or nothing."""
    return inspect(container(service, number), "{{.State.Health.Status}}")


def logs(service: str) -> str:
    """Return the log of a service's first container."""
    completed = run("docker", "logs", container(service))
    return completed.stdout + completed.stderr


def secret(name: str) -> str:
    """Return the text of a secret file."""
    return (SECRETS / name).read_text().strip()


def eventually(probe: Callable[[], Any], within_s: float) -> Any:
    """Return the first truthy value of `probe`, or its last one."""
    deadline = time.monotonic() + within_s
    while not (value := probe()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return value


def fetch(
    url: str, body: Any = None, headers: dict[str, str] | None = None, method: str | None = None
) -> tuple[int, bytes]:
    """Send a request with a JSON body; status 0 stands for a connection that failed."""
    data = None if body is None else json.dumps(body).encode()
    lines = {"Content-Type": "application/json"} | (headers or {})
    request = urllib.request.Request(url, data, lines, method=method)
    try:
        with _HTTP.open(request, timeout=40) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        return 0, str(error).encode()


def call(path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Call the gateway; return status and JSON."""
    status, text = fetch(GATEWAY + path, body, headers)
    return status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()


def submit(count: int, **fields: Any) -> list[str]:
    """Submit so many jobs; return the ids of those that were accepted, and print refusals."""
    ids = []
    for number in range(count):
        body = {"prompt": f"question {number}", "max_new_tokens": 100} | fields
        status, job = call("/v1/jobs", body)
        if status in (200, 202):
            ids.append(job["id"])
        else:
            sys.stderr.write(f"a job was refused: {status} {job}\n")
    return ids


def read_jobs(ids: list[str]) -> list[dict[str, Any]]:
    """Return the jobs; one that cannot be read has the HTTP status as its own."""
    answers = [call(f"/v1/jobs/{job_id}") for job_id in ids]
    return [job if status == 200 else {"status": str(status)} for status, job in answers]


def end(ids: list[str], within_s: float = 180) -> list[dict[str, Any]]:
    """Wait until all these jobs are over; return them."""
    eventually(lambda: {job["status"] for job in read_jobs(ids)} <= OVER, within_s)
    return read_jobs(ids)


def tally(jobs: list[dict[str, Any]]) -> dict[str, int]:
    """Count jobs by status."""
    return dict(Counter(job["status"] for job in jobs))


def workers(count: int, *, simulated: bool) -> bool:
    """Wait until exactly so many workers are ready."""

    def ready() -> bool:
        status, queue = call("/v1/queue")
        if status != 200:
            return False
        fresh = [one for one in queue["workers"] if not one["draining"]]
        return [one["simulated"] for one in fresh] == [simulated] * count

    return bool(eventually(ready, 240))


def as_operator(*words: str, password: str = "redis-operator-password") -> str:
    """Run redis-cli in the queue Redis' container as the runbook does."""
    login = f"REDISCLI_AUTH={secret(password)}"
    name = container("redis-queue")
    command = ["docker", "exec", "-e", login, name, "redis-cli", "--user", "operator", *words]
    return run(*command).stdout.strip()

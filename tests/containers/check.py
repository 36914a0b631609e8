"""What compose.yaml promises, checked on running containers; run.sh has built the images.

Prints a line for each check and 'N passed, N failed' at the end.
"""

from __future__ import annotations

import base64
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
    as_operator,
    call,
    compose,
    container,
    end,
    eventually,
    fetch,
    health,
    inside,
    inspect,
    logs,
    read_jobs,
    run,
    secret,
    submit,
    tally,
    workers,
)

OURS = ["gateway", "worker", "courier", "flower"]
SERVICES = [*OURS, "redis-queue", "redis-cache"]
BEGAN = time.monotonic()
results: list[bool] = []


def check(sentence: str, good: object, detail: object = "") -> None:
    """Record and print one result."""
    results.append(bool(good))
    mark = "ok    " if good else "FAILED"
    print(f"{time.monotonic() - BEGAN:5.0f}s  {mark}  {sentence}  {detail}", flush=True)


def check_images() -> None:
    """The images hold what they need and no more."""
    bare = ["docker", "run", "--rm", "--network", "none", "--read-only"]
    code = "import importlib.util as u, os; print(os.getuid(), u.find_spec('torch'))"
    seen = run(*bare, "sightline-gateway", "python", "-c", code).stdout.strip()
    check("the gateway's image has no torch and is not root", seen == "10001 None", seen)
    script = "ls /opt/cache/sightline; command -v g++ cc gcc || echo no compiler; ls gateway/__pycache__ | wc -l"
    seen = run(*bare, "sightline-worker", "sh", "-c", script).stdout.split("\n")
    good = "kernels-" in seen[0] and "no compiler" in seen and int(seen[-2]) > 3
    check("the worker's image has kernels and bytecode, and no compiler", good, " ".join(seen))


def check_rebuild() -> None:
    """A changed line of code makes no layer of packages again."""
    file = Path("gateway/__init__.py")
    file.write_text(file.read_text() + "\n# changed\n")
    since = time.monotonic()
    built = compose("build", "gateway", "worker")
    took_s = time.monotonic() - since
    said = built.stdout + built.stderr
    again = [line for line in said.split("\n") if "Downloading" in line or "Collecting" in line]
    check("a changed line of code installs no package again", not built.returncode and not again)
    check("and is built within a minute", took_s < 60, f"{took_s:.1f} s")


def start() -> None:
    """Everything comes up and is healthy."""
    compose("up", "-d", *OURS, "receiver")
    compose("--profile", "alerting", "up", "-d", "prometheus", "alertmanager")
    good = eventually(lambda: all(health(name) == "healthy" for name in SERVICES), 300)
    check("all are healthy", good, {name: health(name) for name in SERVICES} if not good else "")


def check_confinement() -> None:
    """Each container can do no more than it must."""
    script = "awk '/^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):/ {print $2}' /proc/1/status; touch /etc/x 2>&1"
    for name in SERVICES:
        uid, effective, bound, no_new, seccomp, refusal = inside(
            container(name), "sh", "-c", script
        ).split("\n")
        good = uid != "0" and int(effective, 16) == int(bound, 16) == 0
        good = good and (no_new, seccomp) == ("1", "2") and "Read-only" in refusal
        limit = int(inspect(container(name), "{{.HostConfig.Memory}}"))
        rotated = inspect(container(name), "{{json .HostConfig.LogConfig.Config}}")
        check(
            f"{name} is confined, its memory and its log are limited",
            good and limit and "max-size" in rotated,
        )
    seen = inside(container("redis-queue"), "bash", "-c", "(echo >/dev/tcp/10.255.255.53/53) 2>&1")
    check("Redis reaches nobody outside", "unreachable" in seen, seen[-30:])
    name = container("prometheus")
    seen = inside(name, "sh", "-c", "getent hosts redis-queue gateway || true")
    check("only our own processes find Redis", "gateway" in seen and "redis" not in seen, seen)
    script = "TIMEFORMAT='%U %S'; time scripts/healthy.sh file /tmp/sign-of-life 15"
    printed = run("docker", "exec", container("worker"), "bash", "-c", script).stderr.split()
    check("a health check costs next to nothing", sum(map(float, printed)) < 0.1, f"{printed} s")


def check_service() -> dict[str, str]:
    """Questions, figures, webhooks, keys and alerts; return the headers of a key."""
    upload = ["-F", "image=@docs/examples/note.png", "-F", "prompt=What does it say?"]
    text = run("curl", "-s", *upload, f"{GATEWAY}/predict").stdout
    check("a real question is answered", "Lisbon" in text, text[:60].replace("\n", " "))
    bearer = {"Authorization": f"Bearer {secret('SIGHTLINE_METRICS_TOKEN')}"}
    statuses = [fetch(f"{GATEWAY}/metrics")[0], fetch(f"{GATEWAY}/metrics", headers=bearer)[0]]
    check("/metrics asks for its token", statuses == [401, 200], statuses)
    login = base64.b64encode(secret("flower-login").encode()).decode()
    flower = f"http://127.0.0.1:{os.environ['FLOWER_PORT']}/workers"
    statuses = [fetch(flower)[0], fetch(flower, headers={"Authorization": f"Basic {login}"})[0]]
    check("Flower asks for its login", statuses == [401, 200], statuses)
    (job,) = submit(1, max_new_tokens=4, webhook="http://receiver:8080/hook")
    check("the courier delivers", eventually(lambda: job in logs("receiver"), 60))
    made = compose("run", "--rm", "admin", "keys", "create", "shop").stdout.split()
    key = {"Authorization": f"Bearer {made[-1]}"}
    statuses = [
        call("/v1/jobs", headers=key)[0],
        call("/v1/jobs", headers={"Authorization": "Bearer no"})[0],
    ]
    check("admin makes a key that opens", statuses == [200, 401], statuses)
    return key


def check_monitoring() -> None:
    """Prometheus scrapes, its rules are sound, and Alertmanager sends what matters."""
    url = f"http://127.0.0.1:{os.environ['PROMETHEUS_PORT']}/api/v1"

    def ask(path: str) -> dict:
        status, text = fetch(f"{url}/{path}")
        return json.loads(text)["data"] if status == 200 else {}

    up = eventually(
        lambda: [t for t in ask("targets").get("activeTargets", []) if t["health"] == "up"], 90
    )
    rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
    sound = rules and all(rule["health"] in ("ok", "unknown") for rule in rules)
    check(
        "Prometheus scrapes with the token and its alerts are sound",
        up and sound,
        f"{len(rules)} alerts",
    )
    managers = eventually(lambda: ask("alertmanagers").get("activeAlertmanagers"), 60)
    check("Prometheus finds Alertmanager", managers, managers)
    alerts = [
        {"labels": {"alertname": f"Try{severity}", "severity": severity}}
        for severity in ("critical", "info")
    ]
    fetch(f"http://127.0.0.1:{os.environ['ALERTMANAGER_PORT']}/api/v2/alerts", alerts)
    sent = eventually(lambda: "Trycritical" in logs("receiver"), 60)
    check(
        "Alertmanager calls the operator, but not for what is only worth a look",
        sent and "Tryinfo" not in logs("receiver"),
    )


def check_redis_restarts(key: dict[str, str]) -> None:
    """Nothing is lost when Redis stops, and when it is killed."""
    ids = submit(4, max_new_tokens=8, session_id="talk")
    ids += submit(4, max_new_tokens=8)
    before = tally(end(ids))
    session = call("/v1/sessions/talk")
    run("docker", "restart", "-t", "30", container("redis-queue"))
    eventually(lambda: call("/readyz")[0] == 200, 90)
    after = tally(read_jobs(ids))
    check(
        "jobs outlive a restart of Redis",
        before == after and set(after) == {"succeeded"},
        f"{before} {after}",
    )
    same = call("/v1/sessions/talk") == session and session[0] == 200
    check("conversations outlive it", same, session[0])
    check("API keys outlive it", call("/v1/jobs", headers=key)[0] == 200)
    check("Redis replays its whole log", "AOF-loading-client" not in logs("redis-queue"))
    running = submit(6)
    os.kill(int(inspect(container("redis-queue"), "{{.State.Pid}}")), signal.SIGKILL)
    jobs = tally(end(running))
    check("jobs outlive a killed Redis", jobs == {"succeeded": 6}, jobs)
    unknown = inside(container("redis-queue"), "redis-cli", "ping")
    check("nobody is let in without a user", "NOAUTH" in unknown, unknown)


def check_passwords() -> None:
    """All passwords are changed while the service runs, as the runbook says."""
    ids = submit(2, max_new_tokens=4)
    run("python3", "-m", "scripts.secrets", "--rotate")
    loaded = as_operator("acl", "load", password="redis-operator-password-old")
    check("new passwords are loaded beside the old ones", loaded == "OK", loaded)
    for name in OURS:
        compose("up", "-d", "--no-deps", "--force-recreate", "--wait", name)
    check(
        "every process starts with its new password",
        all(health(name) == "healthy" for name in OURS),
    )
    run("python3", "-m", "scripts.secrets", "--end-rotation")
    loaded = as_operator("acl", "load")
    ids += submit(2, max_new_tokens=4)
    jobs = tally(end(ids))
    check(
        "work goes on after the old ones are gone",
        loaded == "OK" and jobs == {"succeeded": 4},
        jobs,
    )
    compose("up", "-d", "--no-deps", "--force-recreate", "--wait", "redis-cache", "redis-queue")
    check(
        "both Redis servers are healthy with the new files",
        health("redis-queue") == health("redis-cache") == "healthy",
    )


def check_operator() -> None:
    """The runbook's commands work for the operator."""
    before = as_operator("config", "get", "maxmemory").split()[-1]
    loaded = as_operator("config", "set", "maxmemory", "900mb")
    check("the operator changes a limit at once", loaded == "OK", loaded)
    as_operator("config", "set", "maxmemory", before)
    login = f"REDISCLI_AUTH={secret('redis-operator-password')}"
    script = "redis-cli --user operator --rdb /data/copy.rdb >/dev/null 2>&1 && redis-check-rdb /data/copy.rdb | tail -n 1; rm -f /data/copy.rdb"
    checked = run(
        "docker", "exec", "-e", login, container("redis-queue"), "sh", "-c", script
    ).stdout
    check("the operator makes a backup", "looks OK" in checked, checked.strip())


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
            if status == 202:
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
    script = "tr '\\0' '\\n' </proc/$(pgrep -fo celery)/environ | grep -E '^(OMP_NUM_THREADS|SIGHTLINE_SLOTS)=' | sort"
    script = script.replace(
        "$(pgrep -fo celery)",
        "$(grep -lz celery /proc/[0-9]*/cmdline | grep -o '[0-9]*' | tail -n 1)",
    )
    seen = inside(container("worker", 2), "bash", "-c", script).split()
    check(
        "each knows its share of the cores",
        seen == ["OMP_NUM_THREADS=1", "SIGHTLINE_SLOTS=4"],
        seen,
    )
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


def check_model_folder() -> None:
    """A model of this machine's is mounted."""
    folder = Path("models-of-mine")
    shutil.copytree("demo/checkpoint", folder / "reader", dirs_exist_ok=True)
    chosen = {"MODEL": "/models/reader", "MODELS": f"./{folder}"}
    compose("up", "-d", "--no-deps", "--scale", "worker=1", "--wait", "worker", **chosen)
    text = ""
    if workers(1, simulated=False):
        upload = ["-F", "image=@docs/examples/note.png", "-F", "prompt=What does it say?"]
        text = run("curl", "-s", *upload, f"{GATEWAY}/predict").stdout
    check(
        "a mounted model answers",
        "Lisbon" in text and "reader" in text,
        text[:80].replace("\n", " "),
    )


def check_health_turns() -> None:
    """Health tells whether Redis is there."""
    run("docker", "stop", container("redis-queue"))
    bad = eventually(lambda: health("worker") == "unhealthy", 90)
    statuses = [call("/healthz")[0], call("/readyz")[0]]
    run("docker", "start", container("redis-queue"))
    good = eventually(lambda: health("worker") == "healthy", 90)
    check(
        "without Redis a worker is unhealthy and the gateway says 503, with it all is well",
        bad and good and statuses == [200, 503],
        statuses,
    )


def check_end() -> None:
    """All end by themselves, and nobody was refused by Redis."""
    refused = compose("logs", "--no-color", *SERVICES).stdout.count("NOPERM")
    check("nobody is refused by Redis", refused == 0, refused)
    compose("stop")
    codes = {name: inspect(container(name), "{{.State.ExitCode}}") for name in SERVICES}
    check("all end by themselves", set(codes.values()) == {"0"}, codes)


def main() -> None:
    """Run all checks; exit with 1 if one failed."""
    check_images()
    start()
    check_confinement()
    key = check_service()
    check_monitoring()
    check_redis_restarts(key)
    check_passwords()
    check_operator()
    check_workers()
    check_rolling()
    check_model_folder()
    check_health_turns()
    check_end()
    check_rebuild()
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    sys.exit(not all(results))


if __name__ == "__main__":
    main()

"""Redis: restarts, passwords, the operator's commands, health."""

from __future__ import annotations

import os
import signal

from stack import (
    OURS,
    as_operator,
    call,
    check,
    compose,
    container,
    end,
    eventually,
    health,
    inside,
    inspect,
    logs,
    read_jobs,
    run,
    secret,
    submit,
    tally,
)


def check_redis_restarts(key: dict[str, str]) -> None:
    """Nothing is lost when Redis stops, and when it is killed."""
    ids = submit(1, max_new_tokens=8, session_id="talk")
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
    running: list[str] = []
    # on a busy machine some are refused at first, as Redis seems silent
    eventually(lambda: running.extend(submit(6 - len(running))) or len(running) == 6, 60)
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
    script = "cd /data && redis-cli --user operator --rdb copy.rdb >/dev/null 2>&1 "
    script += "&& redis-check-rdb copy.rdb | grep -o 'RDB looks OK'; rm -f copy.rdb"
    checked = run(
        "docker", "exec", "-e", login, container("redis-queue"), "sh", "-c", script
    ).stdout
    check("the operator makes a backup", "looks OK" in checked, checked.strip())


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

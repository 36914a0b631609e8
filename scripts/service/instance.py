"""The run directory of one instance: records its processes and ends all of them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = "up"


class InstanceError(Exception):
    """A command cannot go on; the message is one line for the person at the terminal."""


def birth(pid: int) -> str | None:
    """Return the start time of a process, which a reused pid does not have; None if it is dead."""
    try:
        state, *_, started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:20]
    except OSError:
        return _birth_by_ps(pid) if not Path("/proc/self").exists() else None
    return None if state in "ZX" else started


def _birth_by_ps(pid: int) -> str | None:
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip() or None


@dataclass(frozen=True)
class RecordedProcess:
    """A process that we started, as recorded on disk."""

    name: str
    pid: int
    born: str

    def alive(self) -> bool:
        """Tell whether this very process still runs."""
        return birth(self.pid) == self.born

    def signal(self, number: int) -> None:
        """Send a signal to the process; to all of its group if it leads one."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)


def run_directory() -> Path:
    """Return the directory of all instances: SIGHTLINE_RUN_DIR, or `.run` here."""
    return Path(os.environ.get("SIGHTLINE_RUN_DIR") or ROOT / ".run")


class Instance:
    """The run directory `.run/<port>/` of one `make up`; it outlives the processes."""

    def __init__(self, port: int, home: Path | None = None) -> None:
        """`home` contains the directories of all instances."""
        self.port = port
        self.directory = (home or run_directory()).resolve() / str(port)

    @contextlib.contextmanager
    def claim(self) -> Iterator[None]:
        """Be the only launcher inside the block; end what a killed launcher left behind.

        Raises InstanceError if another launcher runs.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if launcher := self.launcher():
                raise InstanceError(
                    f"Sightline is already running on port {self.port} (pid {launcher.pid}); "
                    f"stop it with: make down PORT={self.port}"
                )
            self.sweep()
            self.record(LAUNCHER, os.getpid())
        try:
            yield
        finally:
            self.sweep(keep=(LAUNCHER,))
            self._record_file(LAUNCHER).unlink(missing_ok=True)

    def record(self, name: str, pid: int) -> None:
        """Record a process under a name, in place of an earlier one of that name."""
        process = RecordedProcess(name, pid, birth(pid) or "dead")
        path = self._record_file(name)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(process)))
        draft.replace(path)

    def publish(self, url: str) -> None:
        """Write where the service answers, for the client on this machine."""
        (self.directory / "url").write_text(url + "\n")

    def processes(self) -> list[RecordedProcess]:
        """Return the recorded processes that still run; Redis last, as the others need it."""
        files = sorted(self.directory.glob("*.pid"), key=lambda path: path.stem == "redis")
        processes = [_read_record(path) for path in files]
        return [process for process in processes if process and process.alive()]

    def launcher(self) -> RecordedProcess | None:
        """Return the launcher, if it runs."""
        return next((one for one in self.processes() if one.name == LAUNCHER), None)

    def sweep(self, keep: Collection[str] = (), grace_s: float = 10.0) -> None:
        """End every recorded process except those named in `keep`, and delete its record."""
        for process in self.processes():
            if process.name not in keep:
                end_process(process, grace_s)
        for path in self.directory.glob("*.pid"):
            if path.stem not in keep:
                path.unlink(missing_ok=True)

    def secret(self, name: str) -> str:
        """Return the random text stored under this name; the first call makes it."""
        path = self.directory / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(18))
        return path.read_text().strip()

    def _record_file(self, name: str) -> Path:
        return self.directory / f"{name}.pid"


def _read_record(path: Path) -> RecordedProcess | None:
    """Return a recorded process; None where a power cut, say, has left half a record."""
    try:
        return RecordedProcess(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def list_instances() -> list[Instance]:
    """Return the instances that have a run directory, running or not, by port."""
    names = (path.name for path in run_directory().glob("*/") if path.name.isdigit())
    return [Instance(port) for port in sorted(map(int, names))]


def end_process(process: RecordedProcess, grace_s: float) -> None:
    """Terminate a process; kill it after `grace_s` seconds."""
    process.signal(signal.SIGTERM)
    if not wait_until(lambda: not process.alive(), grace_s):
        process.signal(signal.SIGKILL)
        wait_until(lambda: not process.alive(), 5)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; return whether it became true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True

"""The run directory of one instance: which processes it has, and how they are all ended."""

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

ROOT = Path(__file__).resolve().parent.parent
LAUNCHER = "up"


class InstanceError(Exception):
    """What stopped us, in one line for the person at the terminal."""


def birth(pid: int) -> str | None:
    """Return a mark that tells this process from a later one of the same id; None if it is dead."""
    try:
        state, *_, started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:20]
    except OSError:
        return _birth_by_ps(pid) if not Path("/proc/self").exists() else None
    return None if state in "ZX" else started


def _birth_by_ps(pid: int) -> str | None:
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


@dataclass(frozen=True)
class RecordedProcess:
    """A process that we started, as noted on disk."""

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


class Instance:
    """Everything of one `make up` that outlives a process: `.run/<port>/`."""

    def __init__(self, port: int, home: Path | None = None) -> None:
        """`home` holds the directories of all instances: SIGHTLINE_RUN_DIR, or `.run` here."""
        self.port = port
        home = home or Path(os.environ.get("SIGHTLINE_RUN_DIR") or ROOT / ".run")
        self.directory = home.resolve() / str(port)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Be the only launcher here; end what a launcher that was killed left behind."""
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
            self.note(LAUNCHER, os.getpid())
        try:
            yield
        finally:
            self.sweep(keep=(LAUNCHER,))
            self._noted(LAUNCHER).unlink(missing_ok=True)

    def note(self, name: str, pid: int) -> None:
        """Remember a process under a name; an earlier one of that name is forgotten."""
        record = RecordedProcess(name, pid, birth(pid) or "dead")
        path = self._noted(name)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(record)))
        draft.replace(path)

    def processes(self) -> list[RecordedProcess]:
        """Return the remembered processes that still run; Redis last, for the others need it."""
        noted = sorted(self.directory.glob("*.pid"), key=lambda path: path.stem == "redis")
        found = [RecordedProcess(**json.loads(path.read_text())) for path in noted]
        return [process for process in found if process.alive()]

    def launcher(self) -> RecordedProcess | None:
        """Return the launcher, if it runs."""
        return next((one for one in self.processes() if one.name == LAUNCHER), None)

    def sweep(self, keep: Collection[str] = (), grace_s: float = 10.0) -> None:
        """End every remembered process except those named in `keep`, and forget it."""
        for process in self.processes():
            if process.name not in keep:
                end(process, grace_s)
        for path in self.directory.glob("*.pid"):
            if path.stem not in keep:
                path.unlink(missing_ok=True)

    def secret(self, name: str) -> str:
        """Return the random text kept under this name, made at the first call."""
        path = self.directory / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(18))
        return path.read_text().strip()

    def _noted(self, name: str) -> Path:
        return self.directory / f"{name}.pid"


def end(process: RecordedProcess, grace_s: float) -> None:
    """Ask a process to stop, and after `grace_s` make it."""
    process.signal(signal.SIGTERM)
    if not wait_until(lambda: not process.alive(), grace_s):
        process.signal(signal.SIGKILL)
        wait_until(lambda: not process.alive(), 5)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; return whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True

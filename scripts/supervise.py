"""Runs the Procfile through honcho, and starts again what dies once the service was ready."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO

import honcho.manager
from honcho.printer import Printer
from honcho.process import Process

from scripts.instance import Instance, wait_until

#: A process that dies more often than this within RESTART_WINDOW_S takes the service down.
RESTARTS = 5
RESTART_WINDOW_S = 60.0
RESTART_PAUSE_S = 1.0


#: OSError: the reader has gone. RuntimeError: a signal came in the middle of a write.
_UNWRITABLE = (OSError, RuntimeError)


class SteadyOutput:
    """A stream that survives its reader: a closed terminal must not stop a clean end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write if somebody still reads."""
        try:
            return self._stream.write(text)
        except _UNWRITABLE:
            return len(text)

    def flush(self) -> None:
        """Flush if somebody still reads."""
        try:
            self._stream.flush()
        except _UNWRITABLE:
            return

    def isatty(self) -> bool:
        """Tell whether colours make sense."""
        return self._stream.isatty()


def say(text: str) -> None:
    """Print a line between those of the processes."""
    print(text, file=SteadyOutput(sys.stdout), flush=True)


class Flag:
    """A yes or no shared by processes; without a lock, so that a signal handler may set it."""

    def __init__(self) -> None:
        self._value = multiprocessing.RawValue("b", 0)

    def set(self) -> None:
        """Make it yes."""
        self._value.value = 1

    def is_set(self) -> bool:
        """Tell whether it is yes."""
        return bool(self._value.value)

    def wait(self, seconds: float) -> bool:
        """Wait until it is yes; return whether it is."""
        return wait_until(self.is_set, seconds)


class Phase:
    """How far the whole service is; shared by the processes that watch over its parts."""

    def __init__(self) -> None:
        self.ready = Flag()
        self.stopping = Flag()


class SupervisedProcess(Process):  # type: ignore[misc]
    """A process that is recorded in the run directory and started again after a death."""

    instance: Instance
    phase: Phase

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        """Run the command until it ends for good."""
        self._deaths: deque[float] = deque(maxlen=RESTARTS)
        self._again = True
        self._launcher = os.getppid()
        while self._again:
            self._again = False
            # a handler, for the command would inherit a signal that is ignored
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: None)
            super().run(events, ignore_signals)

    def _send_message(self, data: Any, type: str = "line") -> None:  # noqa: A002 honcho's name
        if type == "start":
            self._started(data["pid"])
        if type == "stop" and self._may_restart():
            self._say(f"died (exit {data['returncode']}), restarting it\n")
            self._again = not self.phase.stopping.wait(RESTART_PAUSE_S) and not self._orphaned()
            if self._again:
                return
        super()._send_message(data, type)

    def _started(self, pid: int) -> None:
        self.instance.note(self.name, pid)
        if self.phase.stopping.is_set():
            os.killpg(pid, signal.SIGTERM)

    def _may_restart(self) -> bool:
        now = time.monotonic()
        often = len(self._deaths) == RESTARTS and now - self._deaths[0] < RESTART_WINDOW_S
        self._deaths.append(now)
        wanted = self.phase.ready.is_set() and not self.phase.stopping.is_set()
        return wanted and not often and not self._orphaned()

    def _orphaned(self) -> bool:
        # a launcher that was killed can no longer be stopped, so nothing may outlive it for long
        return os.getppid() != self._launcher

    def _say(self, line: str) -> None:
        super()._send_message(line.encode())


class Supervisor(honcho.manager.Manager):  # type: ignore[misc]
    """honcho's manager, with an eye on readiness and on what died first."""

    def __init__(
        self, instance: Instance, stop_s: float, watch: Callable[[Supervisor], None]
    ) -> None:
        """Give the processes `stop_s` seconds to end; `watch` runs in a thread beside."""
        super().__init__(Printer(SteadyOutput(sys.stdout)))
        honcho.manager.KILL_WAIT = stop_s
        self.phase = Phase()
        #: name and exit code of what ended by itself and so ended the service
        self.died: list[tuple[str, int]] = []
        self._watch = watch
        self._beside = threading.Thread(target=self._watch_over, daemon=True)
        self._process_ctor = self._kept
        self._instance = instance

    def loop(self) -> None:
        """Run until everything has ended."""
        super().loop()
        self._beside.join(timeout=10)

    def terminate(self) -> None:
        """Ask every process to stop."""
        if not self.phase.stopping.is_set():
            self.phase.stopping.set()
            codes = [(name, known.get("returncode")) for name, known in self._processes.items()]
            self.died = [(name, code) for name, code in codes if code is not None]
        if self._all_started():
            super().terminate()

    def _kept(self, *args: Any, **options: Any) -> SupervisedProcess:
        process = SupervisedProcess(*args, **options)
        process.instance, process.phase = self._instance, self.phase
        return process

    def _start(self) -> None:
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        super()._start()
        self._beside.start()

    def _watch_over(self) -> None:
        # honcho fails when told to stop before it knows every pid: such a wish waits until then
        while not self._all_started():
            time.sleep(0.05)
        if self.phase.stopping.is_set():
            super().terminate()
        else:
            self._watch(self)

"""Runs the Procfile with honcho, and restarts a process that dies after the service was ready."""

from __future__ import annotations

import multiprocessing
import os
import shutil
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

from scripts.service.instance import Instance, wait_until
from shared.log.text_lines import STEP_MARK

#: A process that dies more often than this within RESTART_WINDOW_S ends the service.
RESTARTS = 5
RESTART_WINDOW_S = 60.0
RESTART_PAUSE_S = 1.0


#: OSError: the reader is gone. RuntimeError: a signal interrupted a write.
_UNWRITABLE = (OSError, RuntimeError)
#: Erases the line of a terminal that the cursor is in.
_ERASE = "\r\x1b[K"


class SteadyOutput:
    """A stream that ignores a closed terminal, so that the service still ends cleanly."""

    #: Whether the terminal's last line is one that the next text replaces.
    _replaceable = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write unless the reader is gone."""
        try:
            if SteadyOutput._replaceable:
                SteadyOutput._replaceable = False
                self._stream.write(_ERASE)
            return self._stream.write(text)
        except _UNWRITABLE:
            return len(text)

    def write_replaceable(self, line: str) -> None:
        """Write a line of a terminal that whatever is written next replaces."""
        width = shutil.get_terminal_size().columns
        self.write(line[: width - 1])
        self.flush()
        SteadyOutput._replaceable = True

    @classmethod
    def shows_step(cls) -> bool:
        """Tell whether a terminal shows what starts at the moment."""
        return cls._replaceable

    def flush(self) -> None:
        """Flush unless the reader is gone."""
        try:
            self._stream.flush()
        except _UNWRITABLE:
            return

    def isatty(self) -> bool:
        """Tell whether the stream is a terminal."""
        return self._stream.isatty()


class StepPrinter(Printer):  # type: ignore[misc]
    """Shows only the latest of the lines that say what a process does while it starts."""

    def write(self, message: Any) -> None:
        """Print the lines of a process, on a terminal one such line over the other."""
        data = message.data
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
        if self.output.isatty() and text.startswith(STEP_MARK):
            step = text[len(STEP_MARK) :].strip()
            self.output.write_replaceable(f"{message.name}: {step}")
        else:
            super().write(message)


def print_line(text: str) -> None:
    """Print a line among those of the processes."""
    print(text, file=SteadyOutput(sys.stdout), flush=True)


class Flag:
    """A boolean shared by processes; without a lock, so that a signal handler may set it."""

    def __init__(self) -> None:
        self._value = multiprocessing.RawValue("b", 0)

    def set(self) -> None:
        """Set it."""
        self._value.value = 1

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return bool(self._value.value)

    def wait(self, seconds: float) -> bool:
        """Wait until it is set; return whether it is."""
        return wait_until(self.is_set, seconds)


class Phase:
    """The phase of the whole service, shared by the processes that supervise its parts."""

    def __init__(self) -> None:
        self.ready = Flag()
        self.stopping = Flag()


class SupervisedProcess(Process):  # type: ignore[misc]
    """A process that is recorded in the run directory and restarted when it dies."""

    instance: Instance
    phase: Phase

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        """Run the command until it ends for good."""
        self._deaths: deque[float] = deque(maxlen=RESTARTS)
        self._again = True
        self._launcher = os.getppid()
        while self._again:
            self._again = False
            # an empty handler: the command would inherit an ignored signal
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
        self.instance.record(self.name, pid)
        if self.phase.stopping.is_set():
            os.killpg(pid, signal.SIGTERM)

    def _may_restart(self) -> bool:
        now = time.monotonic()
        often = len(self._deaths) == RESTARTS and now - self._deaths[0] < RESTART_WINDOW_S
        self._deaths.append(now)
        wanted = self.phase.ready.is_set() and not self.phase.stopping.is_set()
        return wanted and not often and not self._orphaned()

    def _orphaned(self) -> bool:
        # `make down` cannot stop a killed launcher, so nothing may outlive it
        return os.getppid() != self._launcher

    def _say(self, line: str) -> None:
        super()._send_message(line.encode())


class Supervisor(honcho.manager.Manager):  # type: ignore[misc]
    """honcho's manager, which also notes readiness and what died first."""

    def __init__(
        self, instance: Instance, stop_s: float, watch: Callable[[Supervisor], None]
    ) -> None:
        """Give the processes `stop_s` seconds to end; run `watch` in a thread."""
        super().__init__(StepPrinter(SteadyOutput(sys.stdout)))
        honcho.manager.KILL_WAIT = stop_s
        self.phase = Phase()
        #: Name and exit code of each process that ended by itself and so ended the service.
        self.died: list[tuple[str, int]] = []
        self._watch = watch
        self._watcher = threading.Thread(target=self._watch_over, daemon=True)
        self._process_ctor = self._new_process
        self._instance = instance

    def loop(self) -> None:
        """Run until everything has ended."""
        super().loop()
        self._watcher.join(timeout=10)

    def terminate(self) -> None:
        """Ask every process to stop."""
        if not self.phase.stopping.is_set():
            self.phase.stopping.set()
            codes = [(name, one.get("returncode")) for name, one in self._processes.items()]
            self.died = [(name, code) for name, code in codes if code is not None]
        if self._all_started():
            super().terminate()

    def _new_process(self, *args: Any, **options: Any) -> SupervisedProcess:
        process = SupervisedProcess(*args, **options)
        process.instance, process.phase = self._instance, self.phase
        return process

    def _start(self) -> None:
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        super()._start()
        self._watcher.start()

    def _watch_over(self) -> None:
        # honcho fails if it is stopped before it knows every pid
        while not self._all_started():
            time.sleep(0.05)
        if self.phase.stopping.is_set():
            super().terminate()
        else:
            self._watch(self)

"""How the launcher prints the lines of its processes."""

from __future__ import annotations

import datetime as dt
import io

from honcho.printer import Message

from scripts.service.supervise import SteadyOutput, StepPrinter

AT = dt.datetime(2026, 11, 28, 10, 0, tzinfo=dt.UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(output: io.StringIO, *lines: str) -> str:
    printer = StepPrinter(SteadyOutput(output))
    for line in lines:
        printer.write(Message("line", f"{line}\n".encode(), AT, "worker", None))
    return output.getvalue()


STEPS = ("starting: loading the model", "starting: loading the model, 42 %, 2 s", "ready")


def test_a_terminal_shows_one_line_of_what_starts_that_the_next_replaces():
    shown = printed(Terminal(), *STEPS)
    first, second, rest = shown.split("\r\x1b[K")
    assert first == "worker: loading the model"
    assert second == "worker: loading the model, 42 %, 2 s"
    assert rest.endswith("| ready\n")
    assert "\n" not in first + second


def test_a_log_has_each_of_them_in_a_line_of_its_own():
    shown = printed(io.StringIO(), *STEPS)
    assert "\x1b" not in shown
    assert [line.partition("| ")[2] for line in shown.splitlines()] == list(STEPS)

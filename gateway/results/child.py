"""The program of a rendering child: reads a job's output, writes it in one form, and ends.

Run as `python -m gateway.results.child` with a frame of `frames.py` as its standard input.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable

from gateway.results import frames
from gateway.results.contents.blocks import DoesNotFit
from gateway.results.render import render

#: Of CPU; the gateway waits a little longer.
CPU_S = 60
_MEMORY_BYTES = 2 << 30


def main() -> int:
    """Render what standard input holds to standard output."""
    limit_process()
    order = frames.read_order(sys.stdin.buffer)
    answer(lambda: render(order.form, order.output, order.title, order.language))
    return 0


def limit_process() -> None:
    """Let the kernel end this process when it uses too much time or memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def answer(make: Callable[[], bytes]) -> None:
    """Write what `make` returns to standard output, or why there is nothing."""
    try:
        body = make()
    except DoesNotFit as error:
        frames.write_refusal(sys.stdout.buffer, str(error))
    except MemoryError:
        frames.write_refusal(sys.stdout.buffer, "It needs more memory than one result may take.")
    else:
        frames.write_body(sys.stdout.buffer, body)


if __name__ == "__main__":
    sys.exit(main())

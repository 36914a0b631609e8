"""What boxes cost beside the second reader: `python -m bench.quality.boxes`.

Each drawn page is read by the second reader, and its own text is given places, as a model that
reads well would write it; with a few letters misread, which is harder to match. The share is that
of the second reader's seconds, which are the least that any job with boxes takes.
"""

from __future__ import annotations

import argparse
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from shared.jobs.answers.lines import Boxes
from tests.unit.worker.places.pages import KINDS, KnownPage, written
from tests.unit.worker.reader.pages import page
from worker.jobs.reading import seen_rows
from worker.places.lines import place_lines
from worker.places.seen import SeenImage
from worker.reader.reader import SecondReader
from worker.reader.weights import find_weights

_WAYS: tuple[Boxes, ...] = ("line", "word")


@dataclass(slots=True)
class Seconds:
    """CPU seconds of reading pages, and of placing their lines."""

    reading: float = 0.0
    placing: dict[Boxes, float] = field(default_factory=lambda: dict.fromkeys(_WAYS, 0.0))

    def share(self, way: Boxes) -> str:
        """Return what placing costs, of reading."""
        return f"{self.placing[way] / self.reading:.1%}"


def _dense(number: int) -> KnownPage:
    drawn = page(number, 120, size=16)
    return KnownPage("dense", drawn.image, drawn.lines, list(drawn.boxes))


_DRAWS: dict[str, Callable[[int], KnownPage]] = {
    **{name: KINDS[name] for name in ("plain", "repetitive", "slanted", "columns", "table")},
    "120 lines": _dense,
}


def main() -> None:
    """Print a line for each kind of page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=2, help="pages of each kind")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    reader = SecondReader(find_weights(), threads=args.threads)
    print("| page | reading, CPU s | boxes=line | boxes=word |\n|---|---|---|---|")
    try:
        for name, draw in _DRAWS.items():
            seconds = Seconds()
            for number in range(args.each):
                _measure(reader, draw(number), seconds)
            shares = " | ".join(map(seconds.share, _WAYS))
            print(f"| {name} | {seconds.reading / args.each:.2f} | {shares} |", flush=True)
    finally:
        reader.close()


def _measure(reader: SecondReader, known: KnownPage, seconds: Seconds) -> None:
    began = _cpu_s()
    read = reader.read(known.image, tables=known.cells is not None)
    seconds.reading += _cpu_s() - began
    misread = "\n".join(line.text for line in written(known, Random(1))[1])
    for way in _WAYS:
        began = _cpu_s()
        # how the row stores what was seen is a part of the cost
        place_lines(misread, [SeenImage(seen_rows(read))], way)
        seconds.placing[way] += _cpu_s() - began


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

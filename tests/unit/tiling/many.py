"""Cut, read and merge many random pages: `python -m tests.unit.tiling.many --count 400`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from random import Random

from tests.unit.tiling.oracle import read, text_of
from tests.unit.tiling.pages import Page, draw
from worker.tiling import cut, merge


@dataclass(slots=True)
class Tally:
    """What was seen of one kind of page."""

    pages: int = 0
    tiles: int = 0
    overlaps: int = 0
    wrong: int = 0


def told(page: Page, number: int) -> tuple[str, int, int]:
    """Return a page's text by way of its tiles, how many there were, and how many overlap."""
    tiles = cut(page.image, page.budget)
    rng = Random(f"reader:{number}")
    text = merge([(tile, read(page, tile, rng)) for tile in tiles])
    return text, len(tiles), sum(tile.overlap > 0 for tile in tiles)


def main() -> None:
    """Print a table by kind; fail if a single line of one page is lost, doubled or misplaced."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    started = time.monotonic()
    tallies: dict[str, Tally] = defaultdict(Tally)
    for number in range(options.first, options.first + options.count):
        page = draw(number)
        text, tiles, overlaps = told(page, number)
        tally = tallies[page.kind]
        tally.pages += 1
        tally.tiles += tiles
        tally.overlaps += overlaps
        if text != text_of(page.lines):
            tally.wrong += 1
            print(f"page {number} ({page.kind}) came back otherwise")
    print("| pages | drawn | tiles | cuts through ink | wrong |\n|---|---:|---:|---:|---:|")
    for kind, tally in tallies.items():
        print(f"| {kind} | {tally.pages} | {tally.tiles} | {tally.overlaps} | {tally.wrong} |")
    print(f"\n{time.monotonic() - started:.0f} s")
    sys.exit(any(tally.wrong for tally in tallies.values()))


if __name__ == "__main__":
    main()

"""Cut, read and merge many random pages: `python -m tests.unit.worker.tiling.many --count 400`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from random import Random

from tests.unit.worker.tiling.oracle import read, text_of
from tests.unit.worker.tiling.pages import FIRST_LOG, Page, draw
from worker.tiling import cut, merge
from worker.tiling.likeness import likeness


@dataclass(slots=True)
class Tally:
    """Counts of one kind of page."""

    pages: int = 0
    tiles: int = 0
    overlaps: int = 0
    #: A line is lost, doubled or out of place.
    wrong: int = 0
    #: All lines are there, one with a word as it looks when it is cut.
    misread: int = 0


def read_in_tiles(page: Page, number: int) -> tuple[str, int, int]:
    """Return a page's text by way of its tiles, how many there were, and how many overlap."""
    tiles = cut(page.image, page.budget)
    rng = Random(f"reader:{number}")
    text = merge([(tile, read(page, tile, rng)) for tile in tiles])
    return text, len(tiles), sum(tile.overlap > 0 for tile in tiles)


def is_whole(text: str, truth: str) -> bool:
    """Tell whether every line is there once and in its place, give or take a letter."""
    lines, drawn = text.split("\n"), truth.split("\n")
    alike = [likeness(a, b) > 0.98 for a, b in zip(lines, drawn, strict=False)]
    return len(lines) == len(drawn) and all(alike)


def main() -> None:
    """Print a table by kind; fail if a single line of one page is lost, doubled or misplaced."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    started = time.monotonic()
    tallies: dict[str, Tally] = defaultdict(Tally)
    logs = range(FIRST_LOG + options.first // 8, FIRST_LOG + (options.first + options.count) // 8)
    for number in (*range(options.first, options.first + options.count), *logs):
        page = draw(number)
        text, tiles, overlaps = read_in_tiles(page, number)
        tally = tallies[page.kind]
        tally.pages += 1
        tally.tiles += tiles
        tally.overlaps += overlaps
        if not is_whole(text, text_of(page.lines)):
            tally.wrong += 1
            print(f"page {number} ({page.kind}) came back changed")
        elif text != text_of(page.lines):
            tally.misread += 1
    print("| pages | drawn | tiles | cuts through ink | lines lost or doubled | misread |")
    print("|---|---:|---:|---:|---:|---:|")
    for kind, tally in tallies.items():
        counts = (tally.pages, tally.tiles, tally.overlaps, tally.wrong, tally.misread)
        print(f"| {kind} | " + " | ".join(map(str, counts)) + " |")
    print(f"\n{time.monotonic() - started:.0f} s")
    sys.exit(any(tally.wrong for tally in tallies.values()))


if __name__ == "__main__":
    main()

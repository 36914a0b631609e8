"""Cut, read and merge many random pages: `python -m tests.unit.worker.tiling.many --count 400`.

Each is read in tiles of a pixel budget, and in strips of a few lines as small models need them.
"""

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
from worker.tiling.strips import cut_strips

#: Of a strip.
LETTERS = 100


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

    def add(self, page: Page, text: str, tiles: int, overlaps: int, number: int) -> None:
        """Count a page that was read as `text`."""
        self.pages += 1
        self.tiles += tiles
        self.overlaps += overlaps
        if not is_whole(text, text_of(page.lines)):
            self.wrong += 1
            print(f"page {number} ({page.kind}) came back changed in {tiles} tiles")
        elif text != text_of(page.lines):
            self.misread += 1


def read_in_tiles(page: Page, number: int) -> tuple[str, int, int]:
    """Return a page's text by way of its tiles, how many there were, and how many overlap."""
    tiles = cut(page.image, page.budget)
    rng = Random(f"reader:{number}")
    text = merge([(tile, read(page, tile, rng)) for tile in tiles])
    return text, len(tiles), sum(tile.overlap > 0 for tile in tiles)


def read_in_strips(page: Page, number: int) -> tuple[str, int]:
    """Return a page's text by way of its strips, and how many there were."""
    strips = cut_strips(page.image, LETTERS)
    rng = Random(f"reader:{number}")
    return merge([(strip.tile, read(page, strip.tile, rng)) for strip in strips]), len(strips)


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
        tallies[page.kind].add(page, text, tiles, overlaps, number)
        text, strips = read_in_strips(page, number)
        tallies[f"{page.kind}, in strips"].add(page, text, strips, 0, number)
    print("| pages | drawn | tiles | cuts through ink | lines lost or doubled | misread |")
    print("|---|---:|---:|---:|---:|---:|")
    for kind, tally in tallies.items():
        counts = (tally.pages, tally.tiles, tally.overlaps, tally.wrong, tally.misread)
        print(f"| {kind} | " + " | ".join(map(str, counts)) + " |")
    print(f"\n{time.monotonic() - started:.0f} s")
    sys.exit(any(tally.wrong for tally in tallies.values()))


if __name__ == "__main__":
    main()

"""Places lines of texts on many drawn pages: `make boxes`; no box may lie on another line.

Prints for each kind of page how many lines have the right box (they share at least 0.7 of what
both cover), how many have none, and how many lie on text that is not theirs.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from random import Random

from shared.jobs.answers.lines import TextLine
from tests.unit.worker.places import chinese
from tests.unit.worker.places.pages import KINDS, Box, KnownPage, Written, written
from worker.jobs.reading import seen_rows
from worker.places.lines import place_lines
from worker.places.seen import SeenImage
from worker.places.tiles import join_tiles
from worker.reader.reader import SecondReader
from worker.reader.weights import find_weights
from worker.tiling import cut

#: Draws the page of a number.
Draw = Callable[[int], KnownPage]
#: Of a right box: what it shares with the drawn one, over what both cover.
RIGHT = 0.7
#: Share of another line's box that a box may cover.
_OTHERS = 0.5
_SLACK = 0.1
#: Share of all lines that have the right box, at least.
WANTED = 0.98


def see(reader: SecondReader, known: KnownPage) -> list[SeenImage]:
    """Return what the second reader sees on a page, tile by tile where it is cut."""
    tables = known.cells is not None
    if not known.budget:
        return [SeenImage(seen_rows(reader.read(known.image, tables=tables)))]
    return join_tiles(
        [
            (tile, seen_rows(reader.read(known.image.crop(tile.box))))
            for tile in cut(known.image, known.budget)
        ]
    )


def judge(known: KnownPage, lines: Sequence[Written], placed: Sequence[TextLine]) -> Counter[str]:
    """Count lines whose box is right, missing, not exact, or on another line's text."""
    counts: Counter[str] = Counter()
    for line, one in zip(lines, placed, strict=True):
        counts[_verdict(known, line, one.box)] += 1
    return counts


def _verdict(known: KnownPage, line: Written, box: Box | None) -> str:
    if box is None:
        return "missing" if line.sources else "rightly none"
    own = [known.boxes[number] for number in line.sources]
    others = [one for number, one in enumerate(known.boxes) if number not in line.sources]
    if not own or any(_lies_on(box, other, own) for other in others):
        return "wrong"
    lefts, tops, rights, bottoms = zip(*own, strict=True)
    return (
        "right"
        if overlap(box, (min(lefts), min(tops), max(rights), max(bottoms))) >= RIGHT
        else "inexact"
    )


def _lies_on(box: Box, other: Box, own: Sequence[Box]) -> bool:
    """Tell whether a box lies on another line's text.

    The upright boxes of slanted lines lie on each other; that much is no fault of the box.
    """
    unavoidable = max(_shared(one, other) / _area(other) for one in own)
    return _shared(box, other) / _area(other) > max(_OTHERS, unavoidable + _SLACK)


def overlap(one: Box, other: Box) -> float:
    """Return what two boxes share over what both cover."""
    shared = _shared(one, other)
    return shared / (_area(one) + _area(other) - shared)


def _shared(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def judge_pages(
    reader: SecondReader, numbers: Iterable[int], kinds: Mapping[str, Draw] = KINDS
) -> Iterator[tuple[KnownPage, Counter[str]]]:
    """Yield each page with the verdicts on all texts of it."""
    draws = list(kinds.values())
    for number in numbers:
        known = draws[number % len(draws)](number)
        seen, counts = see(reader, known), Counter[str]()
        for lines in written(known, Random(number)):
            text = "\n".join(line.text for line in lines)
            counts += judge(known, lines, place_lines(text, seen, "line"))
        yield known, counts


def main() -> int:
    """Judge all pages; return 1 where a box is wrong or too many are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="number of the first page")
    args = parser.parse_args()
    reader = SecondReader(find_weights(), threads=2)
    kinds = KINDS | (chinese.KINDS if chinese.find_font() else {})
    if len(kinds) == len(KINDS):
        print(f"without Chinese: install fonts-wqy-zenhei, or name a file in {chinese.NAMED_FONT}")
    totals = {kind: Counter[str]() for kind in kinds}
    numbers = range(args.first, args.first + args.pages)
    for known, counts in judge_pages(reader, numbers, kinds):
        totals[known.kind] += counts
    for kind, counts in totals.items():
        print(f"{kind:12}", dict(counts))
    every = sum(totals.values(), Counter[str]())
    lines = sum(every.values()) - every["rightly none"]
    share = every["right"] / max(1, lines)
    print(f"{share:.4f} of {lines} lines have the right box, {every['wrong']} lie on other text")
    return int(share < WANTED or every["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())

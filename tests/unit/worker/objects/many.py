"""Finds words and phrases on many drawn pages: `make find`; prints how often places are right.

Right is a place that shares half of what it and the drawn one cover; a wrong one lies on something
else. Invented words and phrases are to be found nowhere. What the search takes is set against what
reading the same pages takes in the same run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from random import Random

from shared.jobs import FoundObject, SearchTerms
from tests.unit.worker.objects.pages import KINDS, WordPage
from tests.unit.worker.places.many import overlap
from worker.jobs.reading import seen_rows
from worker.objects.texts import find_in_text
from worker.places.seen import SeenImage, seen_lines
from worker.reader.reader import SecondReader
from worker.reader.weights import find_weights

#: Of a right box: what it shares with the drawn one, over what both cover.
_RIGHT = 0.5
#: Share of all places that are right, at least.
WANTED = 0.97
_LABELS = 8


def labels_of(page: WordPage, rng: Random) -> list[list[str]]:
    """Return words and phrases of a page, some of which are broken across lines."""
    starts = rng.sample(range(len(page.words) - 3), _LABELS - 2)
    last = [n for n in range(len(page.words) - 2) if page.lines[n] != page.lines[n + 1]]
    starts += rng.sample([n for n in last if page.lines[n] not in page.ends], 2)
    phrases = []
    for number, start in enumerate(starts):
        count = 2 if number >= _LABELS - 2 else rng.choice([1, 1, 2, 3])
        same = not set(page.lines[start : start + count - 1]) & page.ends
        words = page.words[start : start + (count if same else 1)]
        phrases.append([word.casefold() for word in words])
    return phrases


def judge(objects: list[FoundObject], page: WordPage, phrases: list[list[str]]) -> Counter[str]:
    """Count places that are right or missing, and objects that lie elsewhere."""
    counts = Counter[str]()
    for phrase in {tuple(phrase): phrase for phrase in phrases}.values():
        drawn = page.places(phrase)
        seen = [one.box for one in objects if one.label == " ".join(phrase)]
        right = sum(any(overlap(box, own) >= _RIGHT for box in seen) for own in drawn)
        counts["right"] += right
        counts["missing"] += len(drawn) - right
        counts["wrong"] += sum(all(overlap(box, own) < _RIGHT for own in drawn) for box in seen)
    return counts


def main() -> int:
    """Judge all pages; return 1 where a place is wrong or too few are right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=120)
    args = parser.parse_args()
    reader = SecondReader(find_weights(), threads=2)
    totals, invented = {kind: Counter[str]() for kind in KINDS}, 0
    reading_s = searching_s = 0.0
    for number in range(args.pages):
        kind = list(KINDS)[number % len(KINDS)]
        page, rng = KINDS[kind](number), Random(number)
        phrases = labels_of(page, rng)
        began = time.perf_counter()
        read = reader.read(page.image)
        reading_s += time.perf_counter() - began
        labels = tuple(dict.fromkeys(" ".join(phrase) for phrase in phrases))
        nowhere = (f"zz{number}qx", f"{labels[0]} zz{number}qx")
        began = time.perf_counter()
        lines = seen_lines([SeenImage(seen_rows(read))])
        objects = find_in_text(SearchTerms(labels=(*labels, *nowhere)), lines)
        searching_s += time.perf_counter() - began
        invented += sum(one.label in nowhere for one in objects)
        totals[kind] += judge(objects, page, phrases)
    for kind, counts in totals.items():
        print(f"{kind:10}", dict(counts))
    every = sum(totals.values(), Counter[str]())
    places = every["right"] + every["missing"]
    print(f"{every['right'] / places:.4f} of {places} places are right, {every['wrong']} elsewhere")
    print(f"{invented} of {2 * args.pages} invented texts were found")
    print(f"the search took {searching_s / reading_s:.4f} of the time of reading")
    return int(every["right"] < WANTED * places or every["wrong"] > 0 or invented > 0)


if __name__ == "__main__":
    sys.exit(main())

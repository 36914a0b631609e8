"""Looks up the values of many drawn papers: `make evidence`; prints how often places are right.

Right is a value that is supported and whose box shares half of what it and the drawn one cover; a
wrong one is said to stand where something else does. Invented values are to be found nowhere.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from shared.jobs.answers.evidence import Evidence
from tests.unit.worker.evidence.papers import KINDS, Box, Paper
from tests.unit.worker.places.many import overlap
from worker.evidence.finding import find_evidence
from worker.jobs.reading import seen_rows
from worker.places.seen import SeenImage, seen_lines
from worker.reader.reader import SecondReader
from worker.reader.weights import find_weights

#: Of a right box: what it shares with the drawn one, over what both cover.
_RIGHT = 0.5
#: Shares of drawn values that are right, and of invented ones that are not found, at least.
WANTED = 0.97


def judge(reader: SecondReader, paper: Paper) -> Counter[str]:
    """Count the verdicts on the values of a paper."""
    lines = seen_lines([SeenImage(seen_rows(reader.read(paper.image)))])
    evidence = find_evidence({**paper.values, **paper.invented}, lines, complete=True)
    counts = Counter(
        _verdict(evidence[pointer], box, pointer) for pointer, box in paper.boxes.items()
    )
    counts.update(f"invented {evidence[f'/{name}'].status}" for name in paper.invented)
    return counts


def _verdict(known: Evidence, drawn: Box, pointer: str) -> str:
    if known.status != "supported" or known.box is None:
        return known.status
    return "right" if overlap(known.box, drawn) >= _RIGHT else "wrong"


def main() -> int:
    """Judge all papers; return 1 where a place is wrong or too few are right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--papers", type=int, default=100)
    args = parser.parse_args()
    reader = SecondReader(find_weights(), threads=2)
    totals = {kind: Counter[str]() for kind in KINDS}
    for number in range(args.papers):
        kind = list(KINDS)[number % len(KINDS)]
        totals[kind] += judge(reader, KINDS[kind](number))
    for kind, counts in totals.items():
        print(f"{kind:10}", dict(counts))
    every = sum(totals.values(), Counter[str]())
    return int(not is_good(every))


def is_good(counts: Counter[str]) -> bool:
    """Tell whether enough of all verdicts are right; prints the shares."""
    invented = sum(count for name, count in counts.items() if name.startswith("invented"))
    drawn = sum(counts.values()) - invented
    right, nowhere = counts["right"] / drawn, counts["invented not_found"] / invented
    print(f"{right:.4f} of {drawn} values are where they were drawn, {counts['wrong']} elsewhere")
    print(f"{nowhere:.4f} of {invented} invented values are found nowhere")
    return right >= WANTED and nowhere >= WANTED and not counts["wrong"]


if __name__ == "__main__":
    sys.exit(main())

"""Maps the letters of a line to the letters that were seen, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from rapidfuzz.distance import Levenshtein

#: For each letter of a line the number of the letter that was seen for it; None without one.
Mapping = list[int | None]


def map_letters(line: str, seen: str) -> tuple[Mapping, set[int]]:
    """Return the mapping of a line's letters, and which of them were read alike."""
    mapping: Mapping = [None] * len(line)
    alike: set[int] = set()
    for code in Levenshtein.opcodes(line, seen):
        start, stop = code.src_start, code.src_end
        if code.tag == "equal":
            alike.update(range(start, stop))
        if code.tag in ("equal", "replace"):
            mapping[start:stop] = range(code.dest_start, code.dest_end)
    return mapping, alike


def count_kept(line: str, pieces: Sequence[str]) -> list[int]:
    """Return how many letters of each piece a line has at the place of the piece."""
    mapping, alike = map_letters(line, "".join(pieces))
    stops = list(accumulate(map(len, pieces)))
    counts = [0] * len(pieces)
    at = 0
    for letter, target in enumerate(mapping):
        if target is None or letter not in alike:
            continue
        while target >= stops[at]:
            at += 1
        counts[at] += 1
    return counts

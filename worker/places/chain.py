"""Pairs lines with runs of what was seen, in order, so that as many letters as possible agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel

#: Things seen that one line may be made of, at most.
_MOST = 24
#: How much longer than the line such a run may be.
_LONGER, _MORE = 1.5, 2
#: Places before and behind the expected one that are looked at.
_BAND = 60
#: Likeness that is worth nothing.
_WORTHLESS = 0.5


@dataclass(frozen=True, slots=True)
class Match:
    """A line and the run of things seen that it is like."""

    line: int
    first: int
    #: Behind the last.
    stop: int
    #: Share of letters that both have, 0 to 1.
    likeness: float
    #: Letters of both that agree beyond chance.
    worth: float


@dataclass(frozen=True, slots=True)
class Demand:
    """How alike a line and what was seen must be."""

    #: Of a line with more than `few` letters, of a shorter one, and of one with a letter or two.
    usual: float
    short: float
    few: int = 5

    def likeness(self, line: str) -> float:
        """Return the least likeness for this line."""
        if len(line) <= 2:
            return 1.0
        return self.short if len(line) <= self.few else self.usual


def match_in_order(lines: Sequence[str], seen: Sequence[str], demand: Demand) -> list[Match]:
    """Return the matches, rising in both, that are worth most together."""
    #: Of the chains that end before a thing seen, the best: what it is worth, and its last match.
    best: list[tuple[float, _Link | None]] = [(0.0, None)] * (len(seen) + 1)
    for number in range(len(lines)):
        ends = [
            (match.stop, best[match.first][0] + match.worth, _Link(match, best[match.first][1]))
            for match in _candidates(number, lines, seen, demand)
        ]
        for stop, total, last in ends:
            _raise_from(best, stop, total, last)
    chain: list[Match] = []
    link: _Link | None = best[-1][1]
    while link is not None:
        chain.append(link.match)
        link = link.before
    return chain[::-1]


@dataclass(frozen=True, slots=True)
class _Link:
    match: Match
    before: _Link | None


def _raise_from(
    best: list[tuple[float, _Link | None]], first: int, total: float, link: _Link
) -> None:
    """Note a chain where it is better than those which end there."""
    for number in range(first, len(best)):
        if best[number][0] >= total:
            return
        best[number] = (total, link)


def _candidates(
    number: int, lines: Sequence[str], seen: Sequence[str], demand: Demand
) -> Iterator[Match]:
    """Yield the runs near the expected place that are like a line."""
    line, least = lines[number], demand.likeness(lines[number])
    middle = round(number * len(seen) / max(1, len(lines)))
    band = max(_BAND, abs(len(seen) - len(lines)))
    for first in range(max(0, middle - band), min(len(seen), middle + band + 1)):
        run = ""
        for stop in range(first + 1, min(len(seen), first + _MOST) + 1):
            run += seen[stop - 1]
            if len(run) > _LONGER * len(line) + _MORE:
                break
            likeness = Indel.normalized_similarity(line, run, score_cutoff=least)
            if likeness >= least:
                worth = (len(line) + len(run)) * (likeness - _WORTHLESS)
                yield Match(number, first, stop, likeness, worth)

"""Compares two readings of one page line by line: how far they agree, and where they do not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel

#: Lines that are less alike are different lines.
_ALIKE = 0.5
#: Lines before and after the expected place in which a line's counterpart is looked for.
_BAND = 60
#: What Markdown adds to a table's row; blanks say nothing of a reading.
_FORM = re.compile(r"[\s|]+")

#: A pair of numbers of lines, and what a chain of pairs is worth.
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """A line of the first reading beside its counterpart in the second."""

    text: str
    #: Share of letters that both have, 0 to 1.
    agreement: float
    #: The counterpart where it differs; None where both agree or there is none.
    other: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two readings of one page."""

    #: Lines of the first reading that have letters or digits.
    lines: tuple[ComparedLine, ...]
    #: Lines that only the second reading has.
    only_second: tuple[str, ...]

    @property
    def differing(self) -> list[ComparedLine]:
        """Return the lines that were read differently."""
        return [line for line in self.lines if line.agreement < 1]


def compare_texts(first: str, second: str) -> Comparison:
    """Compare two texts of one page; blanks and the form of tables do not count."""
    own, others = _lines(first), _lines(second)
    plain, other_plain = [_plain(line) for line in own], [_plain(line) for line in others]
    partner = dict(_align(plain, other_plain))
    compared = []
    for number, text in enumerate(own):
        other = partner.get(number)
        alike = 0.0 if other is None else _likeness(plain[number], other_plain[other])
        differs = other is not None and alike < 1
        shown = others[other] if differs and other is not None else None
        compared.append(ComparedLine(text, round(alike, 4), shown))
    paired = set(partner.values())
    missing = [text for number, text in enumerate(others) if number not in paired]
    return Comparison(tuple(compared), tuple(missing))


def _lines(text: str) -> list[str]:
    """Return the lines that say something; drawn rules do not."""
    return [line for line in text.split("\n") if any(letter.isalnum() for letter in line)]


def _plain(line: str) -> str:
    return _FORM.sub("", unicodedata.normalize("NFKC", line))


def _likeness(one: str, other: str) -> float:
    return 1.0 if one == other else min(0.9999, Indel.normalized_similarity(one, other))


def _align(own: Sequence[str], others: Sequence[str]) -> list[Pair]:
    """Return the chain of pairs in order whose lines are most alike."""
    slope = len(others) / max(1, len(own))
    worth: dict[Pair, float] = {}
    for i, line in enumerate(own):
        middle = round(i * slope)
        for j in range(max(0, middle - _BAND), min(len(others), middle + _BAND + 1)):
            alike = _likeness(line, others[j])
            if alike >= _ALIKE:
                worth[i, j] = alike
    return _best_chain(worth)


def _best_chain(worth: dict[Pair, float]) -> list[Pair]:
    """Return the pairs, each line in one at most, that rise in both numbers and are worth most."""
    #: Of the chains that end at or before a line of the second reading, the best: worth and pair.
    best: list[tuple[float, Pair | None]] = [(0.0, None)] * (
        max((j for _, j in worth), default=-1) + 2
    )
    before: dict[Pair, Pair | None] = {}
    by_line: dict[int, list[int]] = {}
    for i, j in worth:
        by_line.setdefault(i, []).append(j)
    for i in sorted(by_line):
        ending = [(best[j][0] + worth[i, j], (i, j), best[j][1]) for j in by_line[i]]
        for total, pair, previous in ending:
            before[pair] = previous
            _raise_from(best, pair[1] + 1, total, pair)
    chain: list[Pair] = []
    last = best[-1][1]
    while last is not None:
        chain.append(last)
        last = before[last]
    return chain[::-1]


def _raise_from(
    best: list[tuple[float, Pair | None]], first: int, total: float, pair: Pair
) -> None:
    """Note a chain that is better than those which end before or with a line."""
    for number in range(first, len(best)):
        if best[number][0] >= total:
            return
        best[number] = (total, pair)

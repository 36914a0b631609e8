"""Two readings of one overlap: which lines are the same, and which of them is kept."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import zip_longest

from worker.tiling.likeness import doubts, likeness

#: Two readings that are less alike are of different lines.
_ALIKE = 0.6
#: What a pair must be above to be worth more than no pair.
_PAR = 0.5
#: Lines next to a tile's edge that may be mere cuttings.
_CUT = 2
#: Lines at each side that are compared, at most.
MOST = 60
#: Characters at each side of a cut through a line without blanks that are compared.
_REACH = 40
#: What an overlap of another size than expected costs, for each line.
_SURPRISE = 0.04

Pairs = list[tuple[int, int]]
#: What a chain of pairs is worth, and the chain.
Chain = tuple[float, Pairs]


def lines_across(above: Sequence[str], below: Sequence[str], expected: float) -> list[str]:
    """Join two readings that share about `expected` lines, each of these once.

    Of a shared line the reading is kept that lies farther from its tile's edge, unless it has more
    uncertain characters. Without a shared line everything is kept.
    """
    found = _joined(above, below, expected)
    return [*above, *below] if found is None else found


def words_across(left: str, right: str, expected: float) -> str:
    """Join the two parts of one line of text that share about `expected` words, 0 for none."""
    if not left or not right:
        return left or right
    if expected:
        found = _joined(left.split(), right.split(), expected)
        if found is not None:
            return " ".join(found)
        matcher = SequenceMatcher(None, left[-_REACH:], right[:_REACH], autojunk=False)
        match = matcher.find_longest_match()
        if match.size >= 3:
            at = max(0, len(left) - _REACH) + match.a + match.size // 2
            return left[:at] + right[match.b + match.size // 2 :]
    spaced = left[-1].isascii() and right[0].isascii()
    return f"{left} {right}" if spaced else left + right


def _joined(above: Sequence[str], below: Sequence[str], expected: float) -> list[str] | None:
    """Return both readings with what they share once; None if they share nothing."""
    reach = min(MOST, round(2 * expected) + 4)
    base = max(0, len(above) - reach)
    tail, head = above[base:], below[:reach]
    pairs = _pairs(tail, head, expected)
    if not pairs:
        return None
    kept = list(above[: base + pairs[0][0]])
    for (i, j), after in zip_longest(pairs, pairs[1:]):
        upper = len(tail) - 1 - i >= j
        kept.append(_better(tail[i], head[j]) if upper else _better(head[j], tail[i]))
        if after is not None:
            first, second = tail[i + 1 : after[0]], head[j + 1 : after[1]]
            kept += (first or second) if upper else (second or first)
    return [*kept, *below[pairs[-1][1] + 1 :]]


def _better(preferred: str, other: str) -> str:
    return other if doubts(other) < doubts(preferred) else preferred


def _pairs(tail: Sequence[str], head: Sequence[str], expected: float) -> Pairs:
    """Find the chain of alike lines that is worth most and explains both edges."""
    best: dict[tuple[int, int], Chain] = {}
    found: Chain = (0.0, [])
    for i in range(len(tail)):
        for j in range(len(head)):
            alike = likeness(tail[i], head[j])
            if alike < _ALIKE:
                continue
            chains = _earlier(best, i, j)
            if j <= _CUT:
                chains.append((0.0, []))
            if not chains:
                continue
            worth, chain = max(chains, key=lambda c: c[0])
            best[i, j] = (worth + alike - _PAR, [*chain, (i, j)])
            if len(tail) - 1 - i <= _CUT:
                surprise = abs(len(tail) - best[i, j][1][0][0] - expected)
                ended = (best[i, j][0] - _SURPRISE * surprise, best[i, j][1])
                found = max(found, ended, key=lambda c: c[0])
    return found[1]


def _earlier(best: dict[tuple[int, int], Chain], i: int, j: int) -> list[Chain]:
    """Chains that end just before (i, j); a line that one reader left out costs a little."""
    chains: list[Chain] = []
    for up in (1, 2):
        for left in (1, 2):
            chain = best.get((i - up, j - left))
            if chain is not None:
                chains.append((chain[0] - 0.15 * (up + left - 2), chain[1]))
    return chains

"""Joins two readings of one overlap: which lines are the same, and which reading of each is kept.

The constants are tuned with `make tiling` (no line of its pages may be lost, doubled or misplaced)
and `python -m bench.quality.long` (errors of real readings).
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import zip_longest

from worker.tiling.likeness import count_doubts, likeness

#: Two readings that are less alike are of different lines.
_ALIKE = 0.6
#: Likeness above which a pair is worth more than no pair.
_PAR = 0.5
#: Lines next to a tile's edge that may be cut through.
_CUT = 2
#: Lines at each side that are compared: at most, and for each expected one with some more.
MOST = 60
_COMPARED, _COMPARED_MORE = 2, 4
#: Characters at each side of a cut through a line without blanks that are compared, and how many
#: of them in a row must be equal.
_REACH, _EQUAL = 40, 3
#: What an overlap of another size than expected costs, for each line.
_SURPRISE = 0.04
#: What a line costs that only one reading has, and the steps to the pair before: a reading may
#: lack one line in a row.
_SKIP, _STEPS = 0.15, (1, 2)

Pairs = list[tuple[int, int]]
#: What a chain of pairs is worth, a sum of likenesses above par, and the chain.
Chain = tuple[float, Pairs]


def join_lines(above: Sequence[str], below: Sequence[str], expected: float) -> list[str]:
    """Join two readings that share about `expected` lines, each of these once.

    Of a shared line the reading farther from its tile's edge is kept, unless it has more uncertain
    characters. Without a shared line everything is kept.
    """
    joined = _join(above, below, expected)
    return [*above, *below] if joined is None else joined


def join_words(left: str, right: str, expected: float) -> str:
    """Join the two parts of one line of text that share about `expected` words, 0 for none."""
    if not left or not right:
        return left or right
    if expected:
        words = _join(left.split(), right.split(), expected)
        joined = " ".join(words) if words is not None else _join_characters(left, right)
        if joined is not None:
            return joined
    spaced = left[-1].isascii() and right[0].isascii()
    return f"{left} {right}" if spaced else left + right


def _join_characters(left: str, right: str) -> str | None:
    """Join at the longest run of characters that both have; None without one."""
    matcher = SequenceMatcher(None, left[-_REACH:], right[:_REACH], autojunk=False)
    match = matcher.find_longest_match()
    if match.size < _EQUAL:
        return None
    at = max(0, len(left) - _REACH) + match.a + match.size // 2
    return left[:at] + right[match.b + match.size // 2 :]


def _join(above: Sequence[str], below: Sequence[str], expected: float) -> list[str] | None:
    """Return both readings with what they share once; None if they share nothing."""
    reach = min(MOST, round(_COMPARED * expected) + _COMPARED_MORE)
    base = max(0, len(above) - reach)
    tail, head = above[base:], below[:reach]
    pairs = _best_pairs(tail, head, expected)
    if not pairs:
        return None
    joined = list(above[: base + pairs[0][0]])
    for (i, j), after in zip_longest(pairs, pairs[1:]):
        upper = len(tail) - 1 - i >= j
        joined.append(_better(tail[i], head[j]) if upper else _better(head[j], tail[i]))
        if after is not None:
            first, second = tail[i + 1 : after[0]], head[j + 1 : after[1]]
            joined += (first or second) if upper else (second or first)
    return [*joined, *below[pairs[-1][1] + 1 :]]


def _better(preferred: str, other: str) -> str:
    return other if count_doubts(other) < count_doubts(preferred) else preferred


def _best_pairs(tail: Sequence[str], head: Sequence[str], expected: float) -> Pairs:
    """Find the chain of alike lines that is worth most and comes near both edges."""
    best: dict[tuple[int, int], Chain] = {}
    winner: Chain = (0.0, [])
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
                winner = max(winner, ended, key=lambda c: c[0])
    return winner[1]


def _earlier(best: dict[tuple[int, int], Chain], i: int, j: int) -> list[Chain]:
    """Return the chains that end just before (i, j)."""
    chains: list[Chain] = []
    for up in _STEPS:
        for left in _STEPS:
            chain = best.get((i - up, j - left))
            if chain is not None:
                chains.append((chain[0] - _SKIP * (up + left - 2), chain[1]))
    return chains

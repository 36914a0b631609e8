"""Decides how many drafted tokens of each answer a pass of the model checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

#: Of one answer, and of all: a pass must stay short for those who wait beside it.
MOST_TOKENS, _MOST_ROWS = 32, 64


def share_rows(
    chances: Sequence[Sequence[float]], seconds: Callable[[int], float], other_rows: int = 0
) -> list[int]:
    """Return how many guesses of each answer to check, so that tokens come fastest.

    `chances` are falling for each answer; `seconds` are those of a pass of so many rows, of which
    `other_rows` belong to prompts. Every answer gets a token and has a row without any guess.
    """
    ordered = sorted(
        ((chance, at) for at, answer in enumerate(chances) for chance in answer), reverse=True
    )[:_MOST_ROWS]
    rows = other_rows + len(chances)
    tokens = float(len(chances))
    best, best_speed = 0, tokens / seconds(rows)
    for count, (chance, _) in enumerate(ordered, start=1):
        tokens += chance
        speed = tokens / seconds(rows + count)
        if speed > best_speed:
            best, best_speed = count, speed
    counts = [0] * len(chances)
    for _, at in ordered[:best]:
        counts[at] += 1
    return counts

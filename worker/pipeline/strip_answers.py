"""Makes one answer of those about the strips of an image."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from shared.jobs import CacheState, Notice, TextLine
from worker.engine.api import Completion, Timings


def share_time(seconds: float, timings: Sequence[Timings]) -> Timings:
    """Share the seconds of strips that were read side by side among the stages."""
    spent = [
        sum(getattr(one, name) for one in timings) for name in ("encode_s", "prefill_s", "decode_s")
    ]
    whole = sum(spent)
    return Timings(*(seconds * part / whole for part in spent)) if whole else Timings()


def both_states(states: Sequence[CacheState | None]) -> CacheState | None:
    """Return whether all of them were in a cache; None where none was looked up."""
    known = [state for state in states if state]
    if not known:
        return None
    return "hit" if all(state == "hit" for state in known) else "miss"


def mean_confidence(completions: Sequence[Completion]) -> float | None:
    """Return the geometric mean over all tokens."""
    known = [
        (one.confidence, one.usage.answer_tokens)
        for one in completions
        if one.confidence and one.usage.answer_tokens
    ]
    tokens = sum(count for _, count in known)
    return math.exp(sum(n * math.log(c) for c, n in known) / tokens) if tokens else None


def find_lines(text: str, completions: Sequence[Completion]) -> tuple[TextLine, ...] | None:
    """Return the lines of a text with the confidences that they had in their strips."""
    if all(one.lines is None for one in completions):
        return None
    waiting = deque(line for one in completions for line in one.lines or ())
    lines = []
    for shown in text.split("\n"):
        match = next((line for line in waiting if line.text == shown), None)
        while match is not None and waiting.popleft() is not match:
            pass
        if match is not None or shown.strip():
            lines.append(match or TextLine(text=shown, confidence=None))
    return tuple(lines)


def distinct_notices(completions: Sequence[Completion]) -> list[Notice]:
    """Return what the caller should know of them, each once."""
    return list(dict.fromkeys(notice for one in completions for notice in one.notices))

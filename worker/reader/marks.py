"""Marks letters that the second reader is not sure of."""

from __future__ import annotations

from dataclasses import replace

from worker.reader.page import Fragment, Span

#: Stands for a letter or digit that is not sure, as in the model's own answers.
UNSURE = "[?]"


def mark_doubts(fragment: Fragment, below: float | None) -> Fragment:
    """Return a fragment whose letters and digits with a lower probability are marks."""
    if below is None or min(fragment.certainties, default=1.0) >= below:
        return fragment
    text: list[str] = []
    spans: list[Span] = []
    certainties: list[float] = []
    letters = zip(fragment.text, fragment.spans, fragment.certainties, strict=True)
    for letter, span, certainty in letters:
        shown = UNSURE if certainty < below and letter.isalnum() else letter
        text.append(shown)
        spans += [span] * len(shown)
        certainties += [certainty] * len(shown)
    return replace(fragment, text="".join(text), spans=tuple(spans), certainties=tuple(certainties))

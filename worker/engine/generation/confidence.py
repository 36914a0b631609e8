"""Measures how sure the model was: of each token, of the answer's lines, of the whole answer."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from shared.jobs import TextLine

#: Digits of a confidence that mean something.
_DIGITS = 4


def log_probability(logits: torch.Tensor, token: int) -> float:
    """Return the natural logarithm of a token's probability under (vocab,) logits."""
    logits = logits.float()
    return float(logits[token] - logits.logsumexp(-1))


def mean_probability(log_probabilities: Iterable[float]) -> float | None:
    """Return the geometric mean of probabilities, from their logarithms; None without any."""
    values = list(log_probabilities)
    return round(math.exp(sum(values) / len(values)), _DIGITS) if values else None


def line_confidences(shown: str, pieces: Iterable[tuple[str, float]]) -> tuple[TextLine, ...]:
    """Return the lines of `shown` that have text, with their confidence.

    `pieces` are each token's text and log probability. A token that ends a line counts for that
    line, and one without a text for the line of the next.
    """
    texts = shown.split("\n")
    by_line: list[list[float]] = [[] for _ in texts]
    at = 0
    for piece, log in pieces:
        if at < len(by_line):
            by_line[at].append(log)
        at += piece.count("\n")
    return tuple(
        TextLine(text=text, confidence=confidence)
        for text, logs in zip(texts, by_line, strict=True)
        if text.strip() and (confidence := mean_probability(logs)) is not None
    )

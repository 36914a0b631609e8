"""How sure the model was: of each token, of its lines, of the whole answer."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from shared.jobs import TextLine

#: Digits of a confidence that mean something.
_DIGITS = 4


def log_probability(logits: torch.Tensor, token: int) -> float:
    """Return the logarithm of a token's probability under (vocab,) logits."""
    logits = logits.float()
    return float(logits[token] - logits.logsumexp(-1))


def confidence(logs: Iterable[float]) -> float | None:
    """Return the geometric mean of probabilities that are given by their logarithms."""
    told = list(logs)
    return round(math.exp(sum(told) / len(told)), _DIGITS) if told else None


def lines(shown: str, pieces: Iterable[tuple[str, float]]) -> tuple[TextLine, ...]:
    """Return the lines of `shown` that have text; `pieces` are tokens' texts and logarithms.

    A token that ends a line counts for that line, and one without a text for the next one's.
    """
    texts = shown.split("\n")
    logs: list[list[float]] = [[] for _ in texts]
    at = 0
    for piece, log in pieces:
        if at < len(logs):
            logs[at].append(log)
        at += piece.count("\n")
    return tuple(
        TextLine(text=text, confidence=sure)
        for text, told in zip(texts, logs, strict=True)
        if text.strip() and (sure := confidence(told)) is not None
    )

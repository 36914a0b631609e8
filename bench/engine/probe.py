"""Looks over the engine's shoulder: what each answer's tokens were chosen from, and when."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch

from worker.engine import engine as engines
from worker.engine.generation.writer import Writer


class Watched(Writer):
    """A Writer that keeps when it chose its tokens and, where `logits` is true, what from."""

    def __init__(self, *args: Any, logits: bool, **named: Any) -> None:
        """See Writer."""
        super().__init__(*args, **named)
        self.times: list[float] = []
        self.seen: list[torch.Tensor] = []
        self._keeps_logits = logits

    def choose(self, logits: torch.Tensor) -> tuple[int, float]:
        """See Writer."""
        self.times.append(time.perf_counter())
        if self._keeps_logits:
            self.seen.append(logits.detach().float().clone())
        return super().choose(logits)


@contextlib.contextmanager
def watching(*, logits: bool = False) -> Iterator[list[Watched]]:
    """Give the writers of the requests that are submitted within, in their order."""
    writers: list[Watched] = []

    def watched(*args: Any, **named: Any) -> Watched:
        writers.append(Watched(*args, logits=logits, **named))
        return writers[-1]

    with patch.object(engines, "Writer", watched):
        yield writers

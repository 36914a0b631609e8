"""Records inside an engine when each token was chosen, and from which logits."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch

from worker.engine import engine as engines
from worker.engine.generation.writer import Writer


class RecordingWriter(Writer):
    """A Writer that records the times of its tokens and, if `logits` is true, their logits."""

    def __init__(self, *args: Any, logits: bool, **named: Any) -> None:
        """See Writer."""
        super().__init__(*args, **named)
        self.times: list[float] = []
        #: Processor seconds of the whole process.
        self.cpu_times: list[float] = []
        self.logits: list[torch.Tensor] = []
        self._keeps_logits = logits

    def sample(self, logits: torch.Tensor) -> tuple[int, float]:
        """See Writer."""
        self.times.append(time.perf_counter())
        self.cpu_times.append(time.process_time())
        if self._keeps_logits:
            self.logits.append(logits.detach().float().clone())
        return super().sample(logits)


@contextlib.contextmanager
def record_writers(*, logits: bool = False) -> Iterator[list[RecordingWriter]]:
    """Yield the list of writers of the requests that are submitted inside the block, in order."""
    writers: list[RecordingWriter] = []

    def recording_writer(*args: Any, **named: Any) -> RecordingWriter:
        writers.append(RecordingWriter(*args, logits=logits, **named))
        return writers[-1]

    with patch.object(engines, "Writer", recording_writer):
        yield writers

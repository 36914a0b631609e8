"""The state of a training run: how it is saved and restored."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

    from demo.training.optimizer import Optimizer


@dataclass(slots=True)
class Progress:
    """The progress of a run; `seconds` is processor time, which a pause does not count."""

    stage: str
    step: int = 0
    samples: int = 0
    seconds: float = 0.0

    def advance(self, seconds: float) -> None:
        """Count one step."""
        self.step += 1
        self.seconds += seconds


class Clock:
    """Processor time since the last lap, divided by the number of threads."""

    def __init__(self) -> None:
        self.last = time.process_time()

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.process_time()
        spent = (now - self.last) / torch.get_num_threads()
        self.last = now
        return spent


def save(
    path: Path,
    model: nn.Module,
    heads: nn.Module,
    optimizer: Optimizer,
    progress: Progress,
) -> None:
    """Write the state atomically: a killed run leaves the last complete one."""
    partial = path.with_suffix(".partial")
    torch.save(
        {
            "model": model.state_dict(),
            "heads": heads.state_dict(),
            "optimizer": optimizer.state_dict(),
            "progress": asdict(progress),
        },
        partial,
    )
    partial.replace(path)


def restore(
    path: Path,
    model: nn.Module,
    heads: nn.Module,
    optimizer: Optimizer | None,
    stage: str,
) -> Progress:
    """Load a saved state, if there is one; without an optimizer only its weights."""
    if not path.exists():
        return Progress(stage)
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    heads.load_state_dict(state["heads"])
    if optimizer is None:
        return Progress(stage)
    if state["optimizer"] is not None:
        optimizer.load_state_dict(state["optimizer"])
    return Progress(**state["progress"])

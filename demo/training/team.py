"""Data-parallel training: each process draws its own batches, all share the gradients."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor


class Team:
    """One process of `size`; on a busy machine processes lose less time than threads."""

    def __init__(self, rank: int, size: int, folder: Path) -> None:
        self.rank, self.size = rank, size
        (folder / f"pid-{rank}").write_text(f"{os.getpid()}\n")
        if size > 1:
            rendezvous = folder.resolve() / f"meeting-{os.getppid()}"
            distributed.init_process_group(
                "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=size
            )

    def numbers(self, step: int, together: int) -> Iterator[tuple[int, int]]:
        """Count steps from `step` on, each with the numbers of this process's batches in it."""
        for later in count(step):
            first = (later * self.size + self.rank) * together
            for number in range(first, first + together):
                yield later, number

    def join(self, parameters: list[Tensor], stop: bool) -> bool:
        """Average the gradients of all processes; return whether one of them must stop."""
        if self.size == 1:
            return stop
        trained = [value for value in parameters if value.requires_grad]
        parts = [torch.zeros_like(v) if v.grad is None else v.grad for v in trained]
        flat = torch.cat([*(part.flatten() for part in parts), parts[0].new_tensor([float(stop)])])
        distributed.all_reduce(flat)
        flat /= self.size
        sizes = [value.numel() for value in trained]
        for value, mean in zip(trained, flat[:-1].split(sizes), strict=True):
            value.grad = mean.view_as(value)
        return bool(flat[-1] > 0)

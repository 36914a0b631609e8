"""The input of one forward pass of the language model: rows of many sequences, packed."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from worker.engine.memory.kv_cache import SequenceKV


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive tokens of one sequence."""

    kv: SequenceKV
    #: Rows of the batch: first, and how many.
    first: int
    count: int
    #: How many of its last rows get logits: all of an answer's, whose drafted tokens are checked.
    scored: int = 1

    @property
    def past(self) -> int:
        """Tokens of the sequence that were computed before."""
        return self.kv.length

    @property
    def total(self) -> int:
        """Tokens of the sequence after this pass."""
        return self.kv.length + self.count

    @property
    def rows(self) -> slice:
        """Its rows in the batch."""
        return slice(self.first, self.first + self.count)

    @property
    def scored_rows(self) -> range:
        """Its rows that get logits."""
        return range(self.first + self.count - self.scored, self.first + self.count)


@dataclass(frozen=True, slots=True)
class Batch:
    """One packed row of all tokens, M in total, without padding."""

    #: (M,) token ids.
    ids: torch.Tensor
    #: (3, M) M-RoPE positions.
    positions: torch.Tensor
    segments: tuple[Segment, ...]
    #: (V,) rows that hold visual tokens, and (1 + maps, V, hidden) their features.
    visual_rows: torch.Tensor | None = None
    features: torch.Tensor | None = None

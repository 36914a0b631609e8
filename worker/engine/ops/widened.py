"""`WidenedOps`: bfloat16 weights that are widened to float32 as they are multiplied."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from worker.engine.ops.base import Linear, Product, TorchOps

#: Weights that are widened at once: their float32 copy stays in the cache.
_VALUES = 1 << 19
#: Rows that are widened at once, which bounds the memory.
_ROWS = 512


class WidenedOps(TorchOps):
    """bfloat16 in memory, float32 products: for CPUs without products of bfloat16."""

    def __init__(self) -> None:
        """Needs nothing but torch."""
        super().__init__(torch.bfloat16)
        self.name = "bfloat16 weights multiplied in float32 by torch"

    def product(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
        """See TorchOps."""
        wide = _prepare_wide_product(weight.to(self.dtype), bias)
        return lambda x: torch.cat([wide(part).to(x.dtype) for part in torch.split(x, _ROWS)])

    def head(self, weight: torch.Tensor) -> Linear:
        """See Ops; a tied head shares the embedding's memory."""
        wide = _prepare_wide_product(weight.to(self.dtype), None)
        return lambda x, residual=None: wide(x) if residual is None else wide(x) + residual


def _prepare_wide_product(weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
    """Prepare x @ weight.T + bias in float32."""
    parts = torch.split(weight, max(1, _VALUES // weight.shape[1]))
    wide_bias = None if bias is None else bias.float()

    def run(x: torch.Tensor) -> torch.Tensor:
        x = x.float()
        y = torch.cat([F.linear(x, part.float()) for part in parts], 1)
        return y if wide_bias is None else y.add_(wide_bias)

    return run

"""Linear layers with weights packed for oneDNN: bfloat16, and int8 with per-token activations."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812

from worker.engine.ops.base import Linear, Product, Then, TorchOps

#: Rows that are quantised at once, which takes several times their own memory.
_ROWS = 512
#: Values of a row that are turned together before they are quantised.
_SPREAD = 64


class PackedOps(TorchOps):
    """bfloat16 with packed weights."""

    def __init__(self) -> None:
        """Needs nothing but torch."""
        super().__init__(torch.bfloat16)

    def product(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
        """See TorchOps."""
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.to(self.dtype), 1)  # noqa: SLF001
        typed_bias = None if bias is None else bias.to(self.dtype)
        run: Callable[..., torch.Tensor] = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
        return lambda x: run(x, packed, typed_bias, "none", [], "")

    def head(self, weight: torch.Tensor) -> Linear:
        """See Ops; a tied head shares the embedding's pages instead of a packed copy."""
        weight = weight.to(self.dtype)
        return lambda x, add=None: F.linear(x, weight, add)


class Int8Ops(TorchOps):
    """int8 weights, one scale an output channel; uint8 activations, one scale a token.

    Both are spread before, so that no single large value makes the steps of all others coarse.
    """

    def __init__(self) -> None:
        """Needs nothing but torch."""
        super().__init__(torch.bfloat16)
        self._fine = PackedOps()

    def linear(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        then: Then = "none",
        *,
        fine: bool = False,
    ) -> Linear:
        """See Ops."""
        if fine:
            return self._fine.linear(weight, bias, then)
        return super().linear(weight, bias, then)

    def head(self, weight: torch.Tensor) -> Linear:
        """See Ops."""
        product = self._wide_product(weight, None)
        return lambda x, add=None: product(x) if add is None else product(x) + add

    def product(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
        """See TorchOps."""
        wide = self._wide_product(weight, bias)
        return lambda x: wide(x).to(x.dtype)

    def _wide_product(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
        """Prepare a product that gives float32."""
        quantized, scales = quantize_rows(spread(weight.to(self.dtype)))
        packed = torch.ops.onednn.qlinear_prepack(quantized, None)
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        wide_bias = None if bias is None else bias.float()
        multiply: Callable[..., torch.Tensor] = torch.ops.onednn.qlinear_pointwise

        def run(x: torch.Tensor) -> torch.Tensor:
            if len(x) > _ROWS:
                return torch.cat([run(part) for part in torch.split(x, _ROWS)])
            x = spread(x)
            scale = x.abs().amax(-1, keepdim=True).float().div_(127).clamp_min_(1e-8)
            # 128 is the zero point; signed activations would hit a reference kernel
            levels = (x / scale + 128.5).to(torch.uint8)
            y = multiply(
                levels, 1.0, 128, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
            )
            return y.mul_(scale) if wide_bias is None else torch.addcmul(wide_bias, y, scale)

        return run


def spread(x: torch.Tensor) -> torch.Tensor:
    """Turn every 64 values of bfloat16 rows by a matrix that is its own inverse.

    Products of turned rows are those of unturned ones.
    """
    whole = x.shape[1] // _SPREAD * _SPREAD
    turn = _hadamard(_SPREAD).to(x.dtype)
    turned = (x[:, :whole].reshape(-1, _SPREAD) @ turn).view(len(x), whole)
    return turned if whole == x.shape[1] else torch.cat([turned, x[:, whole:]], 1)


@cache
def _hadamard(size: int) -> torch.Tensor:
    """Return the orthonormal matrix of signs."""
    signs = torch.ones(1, 1)
    while len(signs) < size:
        signs = torch.cat([torch.cat([signs, signs], 1), torch.cat([signs, -signs], 1)])
    return signs / size**0.5


def quantize_rows(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return int8 (out, in) levels and float32 (out,) scales: weight = levels * scales."""
    wide = weight.float()
    scales = (wide.abs().amax(1) / 127).clamp_min(1e-8)
    levels = (wide / scales[:, None]).round_().clamp_(-127, 127).to(torch.int8)
    return levels, scales

"""`PackedOps` and `Int8Ops`: linear layers packed for oneDNN, in bfloat16 and in int8.

Both depend on what oneDNN can do on the CPU at hand; trial.py tries it out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812

from worker.engine.ops.base import Activation, Linear, Product, TorchOps
from worker.engine.ops.trial import int8_levels, packs_bf16
from worker.engine.ops.widened import WidenedOps

#: Rows that are quantised at once, which takes several times their own memory.
_ROWS = 512
#: Values of a row that are rotated together before they are quantised.
_SPREAD = 64
#: Levels of an activation to either side of 0, and the least scale.
_LEVELS, _LEAST_SCALE = 127, 1e-8
#: uint8 level of 0: oneDNN has only a slow reference kernel for signed activations.
_ZERO_POINT = 128


def choose_bf16() -> TorchOps:
    """Return the fastest bfloat16 arithmetic of torch that this CPU has."""
    return PackedOps() if packs_bf16() else WidenedOps()


class PackedOps(TorchOps):
    """bfloat16 with packed weights; see `packs_bf16` for where it works."""

    def __init__(self) -> None:
        """Needs nothing but torch."""
        super().__init__(torch.bfloat16)
        self.name = "bfloat16 by oneDNN"

    def product(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
        """See TorchOps."""
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.to(self.dtype), 1)  # noqa: SLF001
        typed_bias = None if bias is None else bias.to(self.dtype)
        run: Callable[..., torch.Tensor] = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
        return lambda x: run(x, packed, typed_bias, "none", [], "")

    def head(self, weight: torch.Tensor) -> Linear:
        """See Ops; a tied head shares the embedding's memory instead of a packed copy."""
        weight = weight.to(self.dtype)
        return lambda x, residual=None: F.linear(x, weight, residual)


class Int8Ops(TorchOps):
    """int8 weights, one scale an output channel; uint8 activations, one scale a token.

    Both are rotated before, so that no single large value makes the steps of all others coarse.
    Weights use so many levels as the CPU sums exactly.
    """

    def __init__(self) -> None:
        """Raise ValueError where int8 products are not exact."""
        super().__init__(torch.bfloat16)
        self._bf16 = choose_bf16()
        self._levels = int8_levels()
        self.name = "int8 by oneDNN" if self._levels == _LEVELS else "int8 by oneDNN, 7-bit weights"

    def linear(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        activation: Activation = "none",
        *,
        keep_bf16: bool = False,
    ) -> Linear:
        """See Ops."""
        if keep_bf16:
            return self._bf16.linear(weight, bias, activation)
        return super().linear(weight, bias, activation)

    def head(self, weight: torch.Tensor) -> Linear:
        """See Ops."""
        product = self._wide_product(weight, None)
        return lambda x, residual=None: product(x) if residual is None else product(x) + residual

    def product(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
        """See TorchOps."""
        wide = self._wide_product(weight, bias)
        return lambda x: wide(x).to(x.dtype)

    def _wide_product(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
        """Prepare x @ weight.T + bias in float32."""
        quantized, scales = quantize_rows(spread(weight.to(self.dtype)), self._levels)
        packed = torch.ops.onednn.qlinear_prepack(quantized, None)
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        wide_bias = None if bias is None else bias.float()
        multiply: Callable[..., torch.Tensor] = torch.ops.onednn.qlinear_pointwise

        def run(x: torch.Tensor) -> torch.Tensor:
            if len(x) > _ROWS:
                return torch.cat([run(part) for part in torch.split(x, _ROWS)])
            x = spread(x)
            scale = x.abs().amax(-1, keepdim=True).float().div_(_LEVELS).clamp_min_(_LEAST_SCALE)
            levels = (x / scale + (_ZERO_POINT + 0.5)).to(torch.uint8)
            inputs = (levels, 1.0, _ZERO_POINT, packed, scales, zeros, None)
            y = multiply(*inputs, 1.0, 0, torch.float32, "none", [], "")
            return y.mul_(scale) if wide_bias is None else torch.addcmul(wide_bias, y, scale)

        return run


def spread(x: torch.Tensor) -> torch.Tensor:
    """Rotate every 64 values of (rows, width) by a Hadamard matrix, which is its own inverse.

    The products of rotated rows are those of the rows; a last part below 64 values stays as it is.
    """
    whole = x.shape[1] // _SPREAD * _SPREAD
    rotation = _hadamard(_SPREAD).to(x.dtype)
    rotated = (x[:, :whole].reshape(-1, _SPREAD) @ rotation).view(len(x), whole)
    return rotated if whole == x.shape[1] else torch.cat([rotated, x[:, whole:]], 1)


@cache
def _hadamard(size: int) -> torch.Tensor:
    """Return the orthonormal (size, size) Hadamard matrix."""
    signs = torch.ones(1, 1)
    while len(signs) < size:
        signs = torch.cat([torch.cat([signs, signs], 1), torch.cat([signs, -signs], 1)])
    return signs / size**0.5


def quantize_rows(weight: torch.Tensor, levels: int = _LEVELS) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (out, in) int8 levels of at most `levels`, and (out,) float32 scales.

    The weight is about levels * scales.
    """
    wide = weight.float()
    scales = (wide.abs().amax(1) / levels).clamp_min(_LEAST_SCALE)
    rounded = (wide / scales[:, None]).round_().clamp_(-levels, levels)
    return rounded.to(torch.int8), scales

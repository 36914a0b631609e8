"""Tries out what oneDNN computes on this CPU, because it depends on more than the CPU's flags.

Older Intel and AMD CPUs, virtual machines with masked flags, `ONEDNN_MAX_CPU_ISA` and builds of
torch for other architectures all lack something; results tell it, whatever the reason.
"""

from __future__ import annotations

from functools import cache

import torch

#: Rows and widths at which oneDNN changes its kernel.
_ROWS, _WIDTHS, _OUTPUTS = (1, 2, 33), (96, 512), 64
#: Largest level of a weight: of 8 bits, and of 7.
_LEVELS = (127, 63)
#: Largest uint8 level of an activation, and that of 0.
_LARGEST, _ZERO_POINT = 255, 128


@cache
def packs_bf16() -> bool:
    """Tell whether oneDNN multiplies packed bfloat16 weights; it needs AVX512 or something newer.

    Raises nothing: where torch has no oneDNN at all, the answer is no.
    """
    weight, x = (torch.ones(_OUTPUTS, 64, dtype=torch.bfloat16) for _ in range(2))
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 1)  # noqa: SLF001
        y = torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")  # noqa: SLF001
    except (RuntimeError, AttributeError):
        return False
    return bool((y == 64).all())


@cache
def int8_levels() -> int:
    """Return the largest int8 level of a weight whose products oneDNN sums exactly: 127 or 63.

    Without VNNI two products are first added in 16 bits, which 127 overflows without any error.
    Raises ValueError where neither is exact.
    """
    for levels in _LEVELS:
        if _is_exact(levels):
            return levels
    raise ValueError("int8 products are not exact on this CPU: set SIGHTLINE_NUMERICS to bf16")


def _is_exact(levels: int) -> bool:
    """Tell whether sums of the largest products are right."""
    try:
        return all(_sums_are_exact(levels, rows, width) for rows in _ROWS for width in _WIDTHS)
    except (RuntimeError, AttributeError):
        return False


def _sums_are_exact(levels: int, rows: int, width: int) -> bool:
    weight = torch.full((_OUTPUTS, width), levels, dtype=torch.int8)
    weight[1::2] = -levels
    x = torch.full((rows, width), _LARGEST, dtype=torch.uint8)
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    scales, zeros = torch.ones(_OUTPUTS), torch.zeros(_OUTPUTS, dtype=torch.int64)
    inputs = (x, 1.0, _ZERO_POINT, packed, scales, zeros, None)
    y = torch.ops.onednn.qlinear_pointwise(*inputs, 1.0, 0, torch.float32, "none", [], "")
    exact = (x.double() - _ZERO_POINT) @ weight.double().T
    return bool((y.double() == exact).all())

"""Linear layers of the compiled kernels: weights in panels, in bfloat16, int8 or int4."""

from __future__ import annotations

import ctypes
from ctypes import c_int64, c_void_p
from typing import Self

import torch

from worker.engine.kernels.build import Kernels
from worker.engine.memory.huge_pages import advise_huge_pages
from worker.engine.ops.base import Activation

#: `enum Activation` of linear.h.
_ACTIVATIONS: dict[Activation, int] = {"none": 0, "gelu": 1, "swiglu": 2}
#: Inputs whose 4-bit weights share a scale: `kSpread` of spread.h.
GROUP = 64


class _Struct(ctypes.Structure):
    """`struct Linear` of linear.h."""

    _fields_ = (
        ("panels", c_void_p),
        ("outputs", c_int64),
        ("bytes", c_int64),
        ("bias", c_void_p),
        ("scale", c_void_p),
        ("offset", c_void_p),
        ("activation", c_int64),
        ("wide", c_int64),
    )


class _PackedLinear:
    """What all numerics share: the panels and the struct that points to them."""

    #: Of the outputs: float32 after `widen`.
    dtype = torch.bfloat16

    def __init__(
        self,
        kernels: Kernels,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        activation: Activation,
    ) -> None:
        """`weight` is (out, in) in the type that `_pack` takes, `bias` (out,)."""
        self._kernels = kernels
        rows, row_bytes = len(weight), weight.shape[1] * weight.element_size()
        padded = padded_outputs(rows, kernels.panel)
        self._panels = self._pack(weight.contiguous())
        self._bias = None
        if bias is not None:
            self._bias = torch.zeros(padded)
            self._bias[:rows] = bias
        self.outputs = rows // 2 if activation == "swiglu" else rows
        self._struct = _Struct(
            panels=self._panels.data_ptr(),
            outputs=rows,
            bytes=row_bytes,
            bias=pointer(self._bias),
            activation=_ACTIVATIONS[activation],
        )
        self._address = ctypes.addressof(self._struct)

    def _pack(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the panels of an (out, in) weight that is multiplied as it is."""
        rows, row_bytes = len(weight), weight.shape[1] * weight.element_size()
        size = padded_outputs(rows, self._kernels.panel) * row_bytes
        panels = empty_panels(size)
        self._kernels.pack_panels(weight.data_ptr(), rows, row_bytes, panels.data_ptr())
        return panels

    def widen(self) -> Self:
        """Return float32 from now on; a residual is then ignored."""
        self.dtype, self._struct.wide = torch.float32, 1
        return self


class Bf16Linear(_PackedLinear):
    """bfloat16 weights and activations, float32 sums."""

    def __init__(
        self,
        kernels: Kernels,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        activation: Activation,
    ) -> None:
        """Pack an (out, in) weight."""
        weight = weight.to(torch.bfloat16)
        weight = interleave(weight, kernels.panel) if activation == "swiglu" else weight
        super().__init__(kernels, weight, bias, activation)

    def __call__(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """Return (M, out) for (M, in)."""
        y = x.new_empty(len(x), self.outputs, dtype=self.dtype)
        wide = torch.empty(x.shape) if self._kernels.widens else None
        self._kernels.linear_bf16(
            self._address, x.data_ptr(), len(x), pointer(wide), y.data_ptr(), pointer(residual)
        )
        return y


class Int8Linear(_PackedLinear):
    """int8 weights, one scale an output; uint8 activations, one scale a row; int32 sums.

    Both are rotated by a Hadamard matrix before they are quantised; see spread.h.
    """

    def __init__(
        self,
        kernels: Kernels,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        activation: Activation,
    ) -> None:
        """Quantise and pack an (out, in) weight."""
        weight = weight.to(torch.bfloat16)
        weight = (
            interleave(weight, kernels.panel) if activation == "swiglu" else weight.contiguous()
        )
        rows, width = weight.shape
        padded = padded_outputs(rows, kernels.panel)
        levels = torch.empty(rows, width, dtype=torch.int8)
        self._scales = torch.zeros(padded)
        # activations are shifted by 128 to be unsigned, and their sums shifted back by this
        self._offsets = torch.zeros(padded, dtype=torch.int32)
        kernels.quantize_weight(
            weight.data_ptr(),
            rows,
            width,
            levels.data_ptr(),
            self._scales.data_ptr(),
            self._offsets.data_ptr(),
        )
        super().__init__(kernels, levels, bias, activation)
        self._struct.scale = self._scales.data_ptr()
        self._struct.offset = self._offsets.data_ptr()

    def __call__(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """Return (M, out) for (M, in)."""
        y = x.new_empty(len(x), self.outputs, dtype=self.dtype)
        levels = torch.empty(x.shape, dtype=torch.uint8)
        scales = torch.empty(len(x))
        self._kernels.linear_int8(
            self._address,
            x.data_ptr(),
            len(x),
            levels.data_ptr(),
            scales.data_ptr(),
            y.data_ptr(),
            pointer(residual),
        )
        return y


class Int4Linear(_PackedLinear):
    """4-bit weights, a scale and a zero for 64 inputs; int8 activations, one scale a row.

    Both are rotated by a Hadamard matrix before they are quantised; see grouped.h.
    """

    def __init__(
        self,
        kernels: Kernels,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        activation: Activation,
    ) -> None:
        """Quantise and pack an (out, in) weight."""
        weight = weight.to(torch.bfloat16)
        weight = interleave(weight, kernels.panel) if activation == "swiglu" else weight
        self._groups = -(-weight.shape[1] // GROUP)
        self._scales = torch.zeros(padded_outputs(len(weight), kernels.panel))
        super().__init__(kernels, weight, bias, activation)
        self._struct.bytes = weight.shape[1]
        self._struct.scale = self._scales.data_ptr()

    def _pack(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the panels of an (out, in) bfloat16 weight."""
        size = int(self._kernels.int4_bytes(*weight.shape))
        panels = empty_panels(size).zero_()
        self._kernels.pack_int4(
            weight.data_ptr(), *weight.shape, panels.data_ptr(), self._scales.data_ptr()
        )
        return panels

    def __call__(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """Return (M, out) for (M, in)."""
        y = x.new_empty(len(x), self.outputs, dtype=self.dtype)
        levels = torch.empty(len(x), self._groups * GROUP, dtype=torch.int8)
        scales, sums = torch.empty(len(x)), torch.empty(len(x), self._groups)
        self._kernels.linear_int4(
            self._address,
            x.data_ptr(),
            len(x),
            levels.data_ptr(),
            scales.data_ptr(),
            sums.data_ptr(),
            y.data_ptr(),
            pointer(residual),
        )
        return y


class UnpackedLinear:
    """A bfloat16 weight used in the file's own order, for a few rows at once; returns float32."""

    def __init__(self, kernels: Kernels, weight: torch.Tensor) -> None:
        """Share the (out, in) weight's memory."""
        self._kernels, self._weight = kernels, weight

    def __call__(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """Return (M, out) for (M, in)."""
        outputs, inputs = self._weight.shape
        y = x.new_empty(len(x), outputs, dtype=torch.float32)
        self._kernels.linear_unpacked(
            self._weight.data_ptr(), outputs, inputs, x.data_ptr(), len(x), y.data_ptr()
        )
        return y if residual is None else y + residual


def empty_panels(size: int) -> torch.Tensor:
    """Return `size` bytes for weights that are read in sequence at each step."""
    panels = torch.empty(size, dtype=torch.uint8)
    advise_huge_pages(panels.data_ptr(), size)
    return panels


def pointer(tensor: torch.Tensor | None) -> int | None:
    """Return a tensor's address, None for none."""
    return None if tensor is None else tensor.data_ptr()


def padded_outputs(outputs: int, panel: int) -> int:
    """Return how many outputs whole panels of `panel` hold."""
    return -(-outputs // panel) * panel


def interleave(weight: torch.Tensor, panel: int) -> torch.Tensor:
    """Return an (out, in) weight of two halves, reordered: a panel has as many rows of both."""
    half = panel // 2
    blocks = weight.view(2, -1, half, weight.shape[1])
    return blocks.transpose(0, 1).reshape(weight.shape)

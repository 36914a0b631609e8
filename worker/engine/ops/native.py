"""`NativeOps`, the arithmetic by the compiled kernels: linear layers in bfloat16, int8 or int4."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from ctypes import c_int64, c_void_p
from typing import Literal

import torch

from worker.engine.batch import Batch
from worker.engine.config import TextShape, VisionShape
from worker.engine.kernels.build import Kernels
from worker.engine.ops.base import LAYER_NORM_EPS, Activation, HeadNorms, Linear, Rotary
from worker.engine.ops.native_linear import (
    Bf16Linear,
    Int4Linear,
    Int8Linear,
    UnpackedLinear,
)

#: Head widths that attention.h is compiled for: of text and of an image.
_TEXT_HEADS, _IMAGE_HEAD = (64, 128), 64
#: Inputs of a linear layer come in groups of 32 bfloat16 values, one register.
_GROUP = 32
#: Outputs of the head that are computed together.
_LOGITS = 4


def supports_text(text: TextShape) -> bool:
    """Tell whether the kernels can compute such a language model.

    They know heads of 64 or 128 values, and rows of a multiple of 32.
    """
    experts = (text.experts.intermediate,) if text.experts else ()
    widths = (text.hidden, text.intermediate, text.heads * text.head_dim, *experts)
    return text.vocab >= _LOGITS and text.head_dim in _TEXT_HEADS and _fit(widths)


def supports_images(vision: VisionShape) -> bool:
    """Tell whether the kernels can compute such a tower: heads of 64, rows of a multiple of 32."""
    widths = (vision.hidden, vision.intermediate, vision.patch_values)
    return vision.head_dim == _IMAGE_HEAD and _fit(widths)


def _fit(widths: Iterable[int]) -> bool:
    return all(width % _GROUP == 0 for width in widths)


NativeNumerics = Literal["bf16", "int8", "int4"]
_LINEARS: dict[NativeNumerics, type[Bf16Linear | Int8Linear | Int4Linear]] = {
    "bf16": Bf16Linear,
    "int8": Int8Linear,
    "int4": Int4Linear,
}


class _Segment(ctypes.Structure):
    """`struct Segment` of attention.h."""

    _fields_ = (
        ("data", c_void_p),
        ("capacity", c_int64),
        ("first", c_int64),
        ("count", c_int64),
        ("past", c_int64),
    )


class NativeOps:
    """Ops by the kernels; results differ from torch's by rounding only."""

    dtype = torch.bfloat16

    def __init__(self, kernels: Kernels, numerics: NativeNumerics, threads: int) -> None:
        """`kernels` comes from load_kernels; each call uses so many threads."""
        form = "bfloat16" if numerics == "bf16" else numerics
        self.name = f"{form} by compiled kernels for {kernels.instructions.title}"
        self._kernels = kernels
        self._linear = _LINEARS[numerics]
        narrow = numerics != "bf16"
        self._attend_patches = kernels.attend_patches_int8 if narrow else kernels.attend_patches
        self._segments: tuple[Batch, ctypes.Array[_Segment]] | None = None
        kernels.set_threads(threads)

    def linear(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        activation: Activation = "none",
        *,
        keep_bf16: bool = False,
    ) -> Linear:
        """See Ops."""
        kind = Bf16Linear if keep_bf16 else self._linear
        return kind(self._kernels, weight, bias, activation)

    def head(self, weight: torch.Tensor) -> Linear:
        """See Ops; in bfloat16 a tied head shares the embedding's memory."""
        if self._linear is not Bf16Linear or weight.dtype is not torch.bfloat16:
            return self._linear(self._kernels, weight, None, "none").widen()
        return UnpackedLinear(self._kernels, weight)

    def rms_norm(self, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        """See Ops."""
        y = torch.empty_like(x)
        self._kernels.rms_norm(x.data_ptr(), *x.shape, weight.data_ptr(), eps, y.data_ptr())
        return y

    def layer_norm(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """See Ops."""
        y = torch.empty_like(x)
        self._kernels.layer_norm(
            x.data_ptr(), *x.shape, weight.data_ptr(), bias.data_ptr(), LAYER_NORM_EPS, y.data_ptr()
        )
        return y

    def store_keys(
        self, qkv: torch.Tensor, norms: HeadNorms, rotary: Rotary, batch: Batch, layer: int
    ) -> torch.Tensor:
        """See Ops; the queries are (M, heads * head_dim)."""
        queries = qkv.new_empty(len(qkv), norms.heads * norms.head_dim)
        segments = self._segment_table(batch)
        self._kernels.store_keys(
            qkv.data_ptr(),
            norms.queries.data_ptr(),
            norms.keys.data_ptr(),
            norms.eps,
            rotary[0].data_ptr(),
            rotary[1].data_ptr(),
            ctypes.addressof(segments),
            len(segments),
            layer,
            norms.heads,
            norms.kv_heads,
            norms.head_dim,
            queries.data_ptr(),
        )
        return queries

    def attend(self, queries: torch.Tensor, batch: Batch, layer: int) -> torch.Tensor:
        """See Ops."""
        segments = self._segment_table(batch)
        _, _, kv_heads, _, width = batch.segments[0].kv.data.shape
        out = torch.empty_like(queries)
        self._kernels.attend(
            queries.data_ptr(),
            ctypes.addressof(segments),
            len(segments),
            layer,
            queries.shape[1] // width,
            kv_heads,
            width,
            out.data_ptr(),
        )
        return out

    def attend_image(self, qkv: torch.Tensor, heads: int, rotary: Rotary) -> torch.Tensor:
        """See Ops; by products of int8 where linear layers are, and the CPU is faster in them."""
        out = qkv.new_empty(len(qkv), qkv.shape[1] // 3)
        self._attend_patches(
            qkv.data_ptr(),
            len(qkv),
            heads,
            rotary[0].data_ptr(),
            rotary[1].data_ptr(),
            out.data_ptr(),
        )
        return out

    def _segment_table(self, batch: Batch) -> ctypes.Array[_Segment]:
        """Return the batch's segments for the kernels, built once for all layers of a pass."""
        if self._segments is None or self._segments[0] is not batch:
            table = (_Segment * len(batch.segments))()
            for row, s in zip(table, batch.segments, strict=True):
                row.data, row.capacity = s.kv.data.data_ptr(), s.kv.capacity
                row.first, row.count, row.past = s.first, s.count, s.past
            self._segments = batch, table
        return self._segments[1]

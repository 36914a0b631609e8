"""The protocol `Ops` of the model's arithmetic, and the reference of it in plain torch.

The model calls all arithmetic through `Ops`, so that a faster set can take its place; each must
give the results of the reference within the rounding of its numerics. choice.py chooses one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import torch
import torch.nn.functional as F  # noqa: N812

from worker.engine.batch import Batch, Segment

#: What follows the product: gelu is the tanh form; swiglu is silu(first half) * second half.
Activation = Literal["none", "gelu", "swiglu"]
#: cosine and sine, (M, head_dim) each: in `dtype` for text, float32 for an image.
Rotary = tuple[torch.Tensor, torch.Tensor]

#: Of the vision tower's norms.
LAYER_NORM_EPS = 1e-6


class Linear(Protocol):
    """A linear layer with its activation."""

    def __call__(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """Return (M, out) for (M, in); an (M, out) `residual` is added after the activation."""


class Ops(Protocol):
    """One way to do the arithmetic.

    Tensors are (M, width) in `dtype` where nothing else is said; M counts the packed rows of a
    batch, or the patches of one image.
    """

    #: Of hidden states, features, keys and values.
    dtype: torch.dtype
    #: What computes, for people.
    name: str

    def linear(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        activation: Activation = "none",
        *,
        keep_bf16: bool = False,
    ) -> Linear:
        """Prepare a linear layer from an (out, in) weight and an (out,) bias; swiglu halves `out`.

        `keep_bf16` is for small layers that all later ones depend on: they are not made int8.
        """

    def head(self, weight: torch.Tensor) -> Linear:
        """Prepare the layer of the logits from a (vocab, hidden) weight, for a few rows at once.

        Its outputs are float32 where that costs nothing: rounded to bfloat16, the two best logits
        are often equal.
        """

    def rms_norm(self, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        """Return (..., width) rows divided by their root mean square, times (width,) weights."""

    def layer_norm(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Return (M, width) rows of mean 0 and variance 1, times weights plus bias; eps 1e-6."""

    def store_keys(
        self, qkv: torch.Tensor, norms: HeadNorms, rotary: Rotary, batch: Batch, layer: int
    ) -> torch.Tensor:
        """Normalise and rotate (M, (heads + 2 * kv_heads) * head_dim) queries, keys and values.

        Keys and values are written to the segments' buffers; returns the queries in the shape that
        `attend` of the same Ops takes.
        """

    def attend(self, queries: torch.Tensor, batch: Batch, layer: int) -> torch.Tensor:
        """Return (M, heads * head_dim): causal attention of each segment over its own buffer."""

    def attend_image(self, qkv: torch.Tensor, heads: int, rotary: Rotary) -> torch.Tensor:
        """Return (M, heads * head_dim): full attention among the M patches of one image.

        `qkv` is (M, 3 * heads * head_dim): all queries, then all keys, then all values of a patch.
        """


class HeadNorms:
    """The norms over each head's queries and keys, and the shape that they need."""

    __slots__ = ("eps", "head_dim", "heads", "keys", "kv_heads", "queries")

    def __init__(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        *,
        eps: float,
        heads: int,
        kv_heads: int,
    ) -> None:
        """Take (head_dim,) weights."""
        self.queries, self.keys, self.eps = queries, keys, eps
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, len(queries)


#: (M, in) -> (M, out).
Product = Callable[[torch.Tensor], torch.Tensor]


def _swiglu(x: torch.Tensor) -> torch.Tensor:
    gate, up = x.chunk(2, -1)
    return F.silu(gate) * up


_ACTIVATIONS: dict[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    "none": lambda x: x,
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "swiglu": _swiglu,
}


class TorchOps:
    """Ops by torch's own functions; in float32 the reference of all others."""

    def __init__(self, dtype: torch.dtype) -> None:
        """`dtype` is float32 (reference) or bfloat16."""
        self.dtype = dtype
        self.name = f"{str(dtype).removeprefix('torch.')} by torch"

    def linear(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        activation: Activation = "none",
        *,
        keep_bf16: bool = False,  # noqa: ARG002 - a single dtype
    ) -> Linear:
        """See Ops."""
        product = self.product(weight, bias)
        activate = _ACTIVATIONS[activation]

        def run(x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
            y = activate(product(x))
            return y if residual is None else y + residual

        return run

    def product(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
        """Prepare x @ weight.T + bias, from (out, in) and (out,); packed forms replace it."""
        weight = weight.to(self.dtype)
        bias = None if bias is None else bias.to(self.dtype)
        return lambda x: F.linear(x, weight, bias)

    def head(self, weight: torch.Tensor) -> Linear:
        """See Ops."""
        return self.linear(weight)

    def rms_norm(self, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        """See Ops."""
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
        return weight * wide.to(x.dtype)

    def layer_norm(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """See Ops."""
        return F.layer_norm(x, (x.shape[-1],), weight, bias, LAYER_NORM_EPS)

    def store_keys(
        self, qkv: torch.Tensor, norms: HeadNorms, rotary: Rotary, batch: Batch, layer: int
    ) -> torch.Tensor:
        """See Ops; the queries are (M, heads, head_dim)."""
        heads = qkv.view(len(qkv), -1, norms.head_dim)
        queries, keys, values = torch.split(
            heads, [norms.heads, norms.kv_heads, norms.kv_heads], dim=1
        )
        queries = _rotate(self.rms_norm(queries, norms.queries, norms.eps), rotary)
        keys = _rotate(self.rms_norm(keys, norms.keys, norms.eps), rotary)
        for segment in batch.segments:
            # keys and values: (2, kv_heads, count, head_dim)
            buffer = segment.kv.data[layer, :, :, segment.past : segment.total]
            buffer[0] = keys[segment.rows].transpose(0, 1)
            buffer[1] = values[segment.rows].transpose(0, 1)
        return queries

    def attend(self, queries: torch.Tensor, batch: Batch, layer: int) -> torch.Tensor:
        """See Ops."""
        parts = [_attend_segment(queries[s.rows], s, layer) for s in batch.segments]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def attend_image(self, qkv: torch.Tensor, heads: int, rotary: Rotary) -> torch.Tensor:
        """See Ops."""
        n = len(qkv)
        queries, keys, values = qkv.view(n, 3, heads, -1).unbind(1)
        queries, keys = (_rotate(x.float(), rotary).to(x.dtype) for x in (queries, keys))
        out = F.scaled_dot_product_attention(
            queries.transpose(0, 1)[None], keys.transpose(0, 1)[None], values.transpose(0, 1)[None]
        )
        return out[0].transpose(0, 1).reshape(n, -1)


def _rotate(x: torch.Tensor, rotary: Rotary) -> torch.Tensor:
    """Rotate (M, heads, head_dim) by (M, head_dim) angles: the two halves of a head are a pair."""
    cosine, sine = (part[:, None] for part in rotary)
    left, right = x.chunk(2, -1)
    return x * cosine + torch.cat((-right, left), -1) * sine


def _attend_segment(queries: torch.Tensor, segment: Segment, layer: int) -> torch.Tensor:
    """Return (count, heads * head_dim) for a segment's (count, heads, head_dim) queries."""
    if segment.count > 1 and segment.scored == segment.count:
        # as without drafts: sums of many rows have another order than those of one
        return torch.cat(
            [
                _attend_rows(row[None], segment, layer, segment.past + at)
                for at, row in enumerate(queries)
            ]
        )
    return _attend_rows(queries, segment, layer, segment.past)


def _attend_rows(queries: torch.Tensor, segment: Segment, layer: int, past: int) -> torch.Tensor:
    """Return (rows, heads * head_dim) for (rows, heads, head_dim) queries that follow `past`."""
    rows, heads, width = queries.shape
    keys, values = segment.kv.data[layer, :, :, : past + rows]
    group = heads // len(keys)
    if rows == 1:
        grouped = queries.view(1, len(keys), group, width)
        out = F.scaled_dot_product_attention(grouped, keys[None], values[None])
        return out.view(1, -1)
    mask = None
    if past:
        mask = torch.ones(rows, past + rows, dtype=torch.bool).tril_(past)
    out = F.scaled_dot_product_attention(
        queries.transpose(0, 1)[None],
        keys[None],
        values[None],
        attn_mask=mask,
        is_causal=mask is None,
        enable_gqa=group > 1,
    )
    return out[0].transpose(0, 1).reshape(rows, -1)

"""The language model: packed rows of many sequences in, logits of each one's last rows out.

Shapes: M rows of a batch, each `hidden` wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812

from worker.engine.batch import Batch
from worker.engine.checkpoint.weights import TensorSource
from worker.engine.config import TextShape
from worker.engine.model.feed_forward import FeedForward, load_feed_forward
from worker.engine.ops.base import HeadNorms, Linear, Ops, Rotary

_PREFIX = "model.language_model"
#: Name of the weight of the logits.
HEAD = "lm_head.weight"


@dataclass(frozen=True, slots=True)
class _Layer:
    before_attention: torch.Tensor
    qkv: Linear
    norms: HeadNorms
    out: Linear
    before_mlp: torch.Tensor
    mlp: FeedForward


class TextModel:
    """A Qwen3 decoder with DeepStack; keeps no state between passes but the segments' buffers."""

    def __init__(self, shape: TextShape, weights: TensorSource, ops: Ops) -> None:
        """Prepare all layers; each weight is copied at most once. Raises KeyError without one."""
        self.shape = shape
        self._ops = ops
        self._embedding = weights.get(f"{_PREFIX}.embed_tokens.weight")
        self._layers = [_load_layer(shape, weights, ops, at) for at in range(shape.layers)]
        self._norm = weights.get(f"{_PREFIX}.norm.weight").to(ops.dtype)
        self._head = ops.head(_head_weight(shape, weights, self._embedding))
        self._frequencies = _frequencies(shape)
        self._axis = _axis_of_frequency(shape)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of hidden states, features, keys and values."""
        return self._ops.dtype

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return (scored rows, vocab) logits in the segments' order, and advance their buffers.

        Rows of visual tokens take their features for embeddings; each DeepStack map is added to
        them after one more layer.
        """
        hidden = F.embedding(batch.ids, self._embedding).to(self._ops.dtype)
        if batch.features is not None:
            hidden[batch.visual_rows] = batch.features[0]
        rotary = self._rotary(batch.positions)
        for at, layer in enumerate(self._layers):
            hidden = self._run_layer(layer, at, hidden, rotary, batch)
            if batch.features is not None and at + 1 < len(batch.features):
                hidden[batch.visual_rows] += batch.features[at + 1]
        scored = torch.tensor([row for segment in batch.segments for row in segment.scored_rows])
        logits = self._head(self._ops.rms_norm(hidden[scored], self._norm, self.shape.eps))
        for segment in batch.segments:
            segment.kv.length += segment.count
        return logits

    def _run_layer(
        self, layer: _Layer, at: int, hidden: torch.Tensor, rotary: Rotary, batch: Batch
    ) -> torch.Tensor:
        """Return (M, hidden) states after layer `at`; its keys and values go to the buffers."""
        ops = self._ops
        qkv = layer.qkv(ops.rms_norm(hidden, layer.before_attention, self.shape.eps))
        queries = ops.store_keys(qkv, layer.norms, rotary, batch, at)
        hidden = layer.out(ops.attend(queries, batch, at), residual=hidden)
        return layer.mlp(ops.rms_norm(hidden, layer.before_mlp, self.shape.eps), hidden)

    def _rotary(self, positions: torch.Tensor) -> Rotary:
        """Return cosine and sine for (3, M) positions."""
        angles = positions[self._axis].T * self._frequencies
        angles = torch.cat((angles, angles), -1)
        scale = self.shape.rope_scale
        return (angles.cos() * scale).to(self._ops.dtype), (angles.sin() * scale).to(
            self._ops.dtype
        )


def _head_weight(shape: TextShape, weights: TensorSource, embedding: torch.Tensor) -> torch.Tensor:
    """Return the (vocab, hidden) weight of the logits: that of the file if it is another one."""
    if shape.tied and HEAD not in weights:
        return embedding
    head = weights.get(HEAD)
    return embedding if shape.tied and head.equal(embedding) else head


def _frequencies(shape: TextShape) -> torch.Tensor:
    """Return the (head_dim / 2,) rotary frequencies."""
    if shape.frequencies is not None:
        return torch.tensor(shape.frequencies)
    half = torch.arange(0, shape.head_dim, 2, dtype=torch.float)
    return 1.0 / shape.rope_theta ** (half / shape.head_dim)


def _axis_of_frequency(shape: TextShape) -> torch.Tensor:
    """Return the axis (0 temporal, 1 row, 2 column) of each of (head_dim / 2,) frequencies."""
    axes = torch.zeros(shape.head_dim // 2, dtype=torch.long)
    for axis in (1, 2):
        axes[axis : shape.mrope_section[axis] * 3 : 3] = axis
    return axes


def _load_layer(shape: TextShape, weights: TensorSource, ops: Ops, at: int) -> _Layer:
    def get(name: str) -> torch.Tensor:
        return weights.get(f"{_PREFIX}.layers.{at}.{name}.weight")

    def fused(*names: str) -> Linear:
        return ops.linear(torch.cat([get(name) for name in names]))

    return _Layer(
        before_attention=get("input_layernorm").to(ops.dtype),
        qkv=fused("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        norms=HeadNorms(
            get("self_attn.q_norm").to(ops.dtype),
            get("self_attn.k_norm").to(ops.dtype),
            eps=shape.eps,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
        ),
        out=fused("self_attn.o_proj"),
        before_mlp=get("post_attention_layernorm").to(ops.dtype),
        mlp=load_feed_forward(shape, weights, ops, f"{_PREFIX}.layers.{at}.mlp", at),
    )

"""The vision tower, one block at a time: an image's patches in, its features out.

Shapes: P patches in merge-block order (the merge x merge patches of a token follow each other),
T = P / merge² visual tokens, and 1 + maps levels of features: embeddings and DeepStack maps.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812

from shared.prediction.visual_tokens import VisualSize
from worker.engine.checkpoint.weights import TensorSource
from worker.engine.config import VisionShape
from worker.engine.ops.base import Activation, Linear, Ops, Rotary

_PREFIX = "model.visual"
#: Position embeddings that are interpolated at once: they take more memory than a block.
_PLACES = 1024

#: Yields the fraction done after every block; returns (1 + maps, T, out_hidden) features.
EncodeSteps = Generator[float, None, torch.Tensor]


@dataclass(frozen=True, slots=True)
class _Norm:
    weight: torch.Tensor
    bias: torch.Tensor


@dataclass(frozen=True, slots=True)
class _Block:
    before_attention: _Norm
    qkv: Linear
    proj: Linear
    before_mlp: _Norm
    up: Linear
    down: Linear


@dataclass(frozen=True, slots=True)
class _Merger:
    norm: _Norm
    up: Linear
    down: Linear
    #: Whether the norm sees the merged patches (DeepStack) or each patch (the last one).
    merged_norm: bool


class VisionTower:
    """Encodes one image after another; keeps nothing between them."""

    def __init__(self, shape: VisionShape, weights: TensorSource, ops: Ops) -> None:
        """Prepare all blocks; each weight is copied at most once. Raises KeyError without one."""
        self.shape = shape
        self._ops = ops
        load = _Loader(weights, ops)
        patch_weight = weights.get(f"{_PREFIX}.patch_embed.proj.weight").flatten(1)
        patch_bias = weights.get(f"{_PREFIX}.patch_embed.proj.bias")
        self._patch_embed = ops.linear(patch_weight, patch_bias, keep_bf16=True)
        self._positions = weights.get(f"{_PREFIX}.pos_embed.weight").to(ops.dtype)
        self._blocks = [load.block(f"blocks.{at}") for at in range(shape.depth)]
        self._merger = load.merger("merger", merged_norm=False)
        self._deepstack = {
            block: load.merger(f"deepstack_merger_list.{at}", merged_norm=True)
            for at, block in enumerate(shape.deepstack)
        }

    def steps(self, patches: torch.Tensor, size: VisualSize) -> EncodeSteps:
        """Encode the (P, patch_values) patches of an image of that size in pixels."""
        rows, columns = size.height // self.shape.patch, size.width // self.shape.patch
        row, column = _patch_places(rows, columns, self.shape.merge)
        places = self._position_embedding(row, column, rows, columns)
        hidden = self._patch_embed(patches.to(self._ops.dtype), residual=places)
        rotary = self._rotary(row, column)
        maps = []
        for at, block in enumerate(self._blocks):
            hidden = self._run_block(block, hidden, rotary)
            if at in self._deepstack:
                maps.append(self._merge(self._deepstack[at], hidden))
            yield (at + 1) / len(self._blocks)
        return torch.stack([self._merge(self._merger, hidden), *maps])

    def _run_block(self, block: _Block, hidden: torch.Tensor, rotary: Rotary) -> torch.Tensor:
        """Return (P, hidden) states after a block."""
        ops = self._ops
        qkv = block.qkv(self._norm(hidden, block.before_attention))
        hidden = block.proj(ops.attend_image(qkv, self.shape.heads, rotary), residual=hidden)
        wide = block.up(self._norm(hidden, block.before_mlp))
        return block.down(wide, residual=hidden)

    def _merge(self, merger: _Merger, hidden: torch.Tensor) -> torch.Tensor:
        """Return (T, out_hidden) for (P, hidden): the patches of a token become one row."""
        merged = (len(hidden) // self.shape.merge**2, -1)
        if merger.merged_norm:
            joined = self._norm(hidden.view(merged), merger.norm)
        else:
            joined = self._norm(hidden, merger.norm).view(merged)
        return merger.down(F.gelu(merger.up(joined)))

    def _norm(self, x: torch.Tensor, norm: _Norm) -> torch.Tensor:
        return self._ops.layer_norm(x, norm.weight, norm.bias)

    def _position_embedding(
        self, row: torch.Tensor, column: torch.Tensor, rows: int, columns: int
    ) -> torch.Tensor:
        """Return (P, hidden): the learned square grid scaled to the image's, corner to corner.

        `row` and `column` are (P,) places of patches in a grid of `rows` x `columns`.
        """
        side = self.shape.grid_side
        row_taps, row_weights = _taps(row, rows, side)
        column_taps, column_weights = _taps(column, columns, side)
        indices = (row_taps[:, :, None] * side + column_taps[:, None]).flatten(1)
        weights = (row_weights[:, :, None] * column_weights[:, None]).flatten(1)
        parts = zip(torch.split(indices, _PLACES), torch.split(weights, _PLACES), strict=True)
        embedded = [(self._positions[at] * weight[:, :, None]).sum(1) for at, weight in parts]
        return torch.cat(embedded).to(self._ops.dtype)

    def _rotary(self, row: torch.Tensor, column: torch.Tensor) -> Rotary:
        """Return float32 (P, head_dim): a quarter of a head each by row and column, twice."""
        half = self.shape.head_dim // 2
        exponents = torch.arange(0, half, 2, dtype=torch.float) / half
        frequencies = 1.0 / self.shape.rope_theta**exponents
        angles = torch.cat((row[:, None] * frequencies, column[:, None] * frequencies), -1)
        angles = torch.cat((angles, angles), -1)
        return angles.cos(), angles.sin()


def _patch_places(rows: int, columns: int, merge: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the (P,) rows and columns of the patches in merge-block order."""
    blocks = (rows // merge, merge, columns // merge, merge)
    row = torch.arange(rows)[:, None].expand(rows, columns)
    column = torch.arange(columns)[None].expand(rows, columns)
    return tuple(x.reshape(blocks).transpose(1, 2).flatten() for x in (row, column))  # type: ignore[return-value]


def _taps(index: torch.Tensor, size: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two of `side` grid indices around each (P,) index of `size`, and their weights.

    Both are (P, 2).
    """
    place = index.float() * (side - 1) / max(size - 1, 1)
    low = place.floor()
    taps = low.long()[:, None] + torch.arange(2)
    weights = 1 - (place[:, None] - taps).abs()
    return taps.clamp(max=side - 1), weights.clamp(min=0)


class _Loader:
    """Reads the weights of blocks and mergers by their checkpoint names."""

    def __init__(self, weights: TensorSource, ops: Ops) -> None:
        self._weights, self._ops = weights, ops

    def block(self, name: str) -> _Block:
        return _Block(
            before_attention=self._norm(f"{name}.norm1"),
            qkv=self._linear(f"{name}.attn.qkv"),
            proj=self._linear(f"{name}.attn.proj"),
            before_mlp=self._norm(f"{name}.norm2"),
            up=self._linear(f"{name}.mlp.linear_fc1", activation="gelu"),
            down=self._linear(f"{name}.mlp.linear_fc2"),
        )

    def merger(self, name: str, *, merged_norm: bool) -> _Merger:
        return _Merger(
            norm=self._norm(f"{name}.norm"),
            up=self._linear(f"{name}.linear_fc1", keep_bf16=True),
            down=self._linear(f"{name}.linear_fc2", keep_bf16=True),
            merged_norm=merged_norm,
        )

    def _linear(
        self, name: str, activation: Activation = "none", *, keep_bf16: bool = False
    ) -> Linear:
        weight, bias = self._get(f"{name}.weight"), self._get(f"{name}.bias")
        return self._ops.linear(weight, bias, activation, keep_bf16=keep_bf16)

    def _norm(self, name: str) -> _Norm:
        weight, bias = self._get(f"{name}.weight"), self._get(f"{name}.bias")
        return _Norm(weight.to(self._ops.dtype), bias.to(self._ops.dtype))

    def _get(self, name: str) -> torch.Tensor:
        return self._weights.get(f"{_PREFIX}.{name}")

"""A Qwen3-VL-2B with random weights without a checkpoint, and its passes one by one.

Needs torch, numpy and this repository's files alone, so that it runs on machines where nothing of
Sightline is installed.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Literal

import torch

from bench.engine.sizes import text_shape, vision_shape
from shared.prediction.visual_tokens import VisualSize
from worker.engine.batch import Batch, Segment
from worker.engine.kernels.build import Kernels
from worker.engine.memory.kv_cache import SequenceKV
from worker.engine.model.language_model import TextModel
from worker.engine.model.vision_tower import VisionTower
from worker.engine.ops.base import Ops
from worker.engine.ops.native import NativeOps
from worker.engine.ops.onednn import Int8Ops, choose_bf16

#: Values that all weights repeat; odd, so that rows differ.
_POOL = (1 << 22) + 77
#: Tokens of a question around its picture.
_WORDS = 22
#: As the scheduler's prompt chunk.
_CHUNK = 128
#: Tokens that stand before the one that is decoded.
_CONTEXT = 100

Numerics = Literal["bf16", "int8", "int4"]


class RandomWeights:
    """Weights in the shapes of the checkpoint, filled with the same random values."""

    def __init__(self) -> None:
        """Draw the values."""
        draw = torch.Generator().manual_seed(0)
        self._pool = torch.empty(_POOL).normal_(0, 0.02, generator=draw).bfloat16()
        self._shapes = _text_weights() | _vision_weights()

    def __contains__(self, name: object) -> bool:
        """See TensorSource."""
        return self._shape(str(name)) is not None

    def get(self, name: str) -> torch.Tensor:
        """See TensorSource."""
        shape = self._shape(name)
        if shape is None:
            raise KeyError(name)
        if "norm" in name and name.endswith("weight"):
            return torch.ones(shape, dtype=torch.bfloat16)
        count = math.prod(shape)
        return self._pool.repeat(-(-count // _POOL))[:count].view(shape)

    def _shape(self, name: str) -> tuple[int, ...] | None:
        """Return the shape of a weight: layers and blocks differ by their numbers only."""
        return self._shapes.get(
            ".".join("#" if part.isdigit() else part for part in name.split("."))
        )


def _text_weights() -> dict[str, tuple[int, ...]]:
    text = text_shape()
    hidden, heads, keys = text.hidden, text.heads * text.head_dim, text.kv_heads * text.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
        "self_attn.q_proj": (heads, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, heads),
        "self_attn.q_norm": (text.head_dim,),
        "self_attn.k_norm": (text.head_dim,),
        "mlp.gate_proj": (text.intermediate, hidden),
        "mlp.up_proj": (text.intermediate, hidden),
        "mlp.down_proj": (hidden, text.intermediate),
    }
    prefix = "model.language_model"
    return {
        f"{prefix}.embed_tokens.weight": (text.vocab, hidden),
        f"{prefix}.norm.weight": (hidden,),
        **{f"{prefix}.layers.#.{name}.weight": shape for name, shape in shapes.items()},
    }


def _vision_weights() -> dict[str, tuple[int, ...]]:
    tower = vision_shape()
    hidden, merged = tower.hidden, tower.hidden * tower.merge**2
    linears = {
        "patch_embed.proj": (hidden, tower.patch_values),
        "blocks.#.attn.qkv": (3 * hidden, hidden),
        "blocks.#.attn.proj": (hidden, hidden),
        "blocks.#.mlp.linear_fc1": (tower.intermediate, hidden),
        "blocks.#.mlp.linear_fc2": (hidden, tower.intermediate),
        **{
            f"{merger}.{name}": (outputs, merged)
            for merger in ("merger", "deepstack_merger_list.#")
            for name, outputs in (("linear_fc1", merged), ("linear_fc2", tower.out_hidden))
        },
    }
    norms = {
        "blocks.#.norm1": hidden,
        "blocks.#.norm2": hidden,
        "merger.norm": hidden,
        "deepstack_merger_list.#.norm": merged,
    }
    weights: dict[str, tuple[int, ...]] = {"pos_embed.weight": (tower.grid_side**2, hidden)}
    for name, shape in linears.items():
        weights |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name, width in norms.items():
        weights |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return {f"model.visual.{name}": shape for name, shape in weights.items()}


@dataclass(frozen=True, slots=True)
class Cold:
    """Seconds of a new question's stages; of cut ones, what the whole would have taken."""

    tower_s: float
    prefill_s: float
    #: Shares of both that were really computed.
    tower_share: float
    prefill_share: float

    @property
    def whole(self) -> bool:
        """Tell whether nothing was extrapolated."""
        return min(self.tower_share, self.prefill_share) == 1


class BareModel:
    """Tower and language model in one arithmetic."""

    def __init__(self, numerics: Numerics, kernels: Kernels | None, threads: int) -> None:
        """Fill and pack the weights by so many threads, for the kernels or else for oneDNN."""
        self._kernels = kernels
        torch.set_num_threads(threads)
        text, images = _choose_ops(numerics, kernels, threads)
        weights = RandomWeights()
        self.name = text.name
        self._tower = VisionTower(vision_shape(), weights, images)
        self._text = TextModel(text_shape(), weights, text)

    def use_threads(self, count: int) -> None:
        """Compute by so many threads from now on."""
        torch.set_num_threads(count)
        if self._kernels:
            self._kernels.set_threads(count)

    @torch.inference_mode()
    def measure_cold(self, side: int, cap_s: float) -> Cold:
        """Measure tower and prefill of one picture; each stops after `cap_s` seconds."""
        tower_s, tower_share = self._measure_tower(side, cap_s)
        tokens = (side // vision_shape().factor) ** 2 + _WORDS
        prefill_s, prefill_share = self._measure_prefill(tokens, cap_s)
        return Cold(tower_s, prefill_s, tower_share, prefill_share)

    def _measure_tower(self, side: int, cap_s: float) -> tuple[float, float]:
        shape = vision_shape()
        places = (side // shape.patch) ** 2
        patches = torch.randn(
            places, shape.patch_values, generator=torch.Generator().manual_seed(1)
        )
        size = VisualSize(side, side, places // shape.merge**2)
        started, share = time.perf_counter(), 1.0
        for done in self._tower.steps(patches, size):
            # the last block is followed by the merger, which a cut run lacks
            if time.perf_counter() - started > cap_s and done < 1:
                share = done
                break
        return (time.perf_counter() - started) / share, share

    def _measure_prefill(self, tokens: int, cap_s: float) -> tuple[float, float]:
        kv = self._new_keys(tokens)
        started = time.perf_counter()
        while kv.length < tokens and time.perf_counter() - started < cap_s:
            self._text.forward(_batch([kv], min(_CHUNK, tokens - kv.length)))
        share = kv.length / tokens
        return (time.perf_counter() - started) / share, share

    @torch.inference_mode()
    def measure_decoding(self, count: int, seconds: float) -> float:
        """Return tokens a second of so many answers together, by their median pass."""
        buffers = [self._new_keys(_CONTEXT + 1) for _ in range(count)]
        passes: list[float] = []
        started = time.perf_counter()
        while len(passes) < 4 or time.perf_counter() - started < seconds:
            for kv in buffers:
                kv.length = _CONTEXT
            before = time.perf_counter()
            self._text.forward(_batch(buffers, 1))
            passes.append(time.perf_counter() - before)
        # the first one wakes threads up
        return count / sorted(passes[1:])[len(passes[1:]) // 2]

    def _new_keys(self, tokens: int) -> SequenceKV:
        kv = SequenceKV(text_shape(), tokens, self._text.dtype)
        kv.data.normal_()
        return kv


def _choose_ops(numerics: Numerics, kernels: Kernels | None, threads: int) -> tuple[Ops, Ops]:
    """Return what computes text and images, as choice.py does."""
    if kernels is None:
        ops: Ops = choose_bf16() if numerics == "bf16" else Int8Ops()
        return ops, ops
    finer: Numerics = "int8" if numerics == "int4" else numerics
    return NativeOps(kernels, numerics, threads), NativeOps(kernels, finer, threads)


def _batch(buffers: list[SequenceKV], count: int) -> Batch:
    """Return a batch of `count` tokens for each sequence."""
    rows = count * len(buffers)
    segments = tuple(Segment(kv, at * count, count) for at, kv in enumerate(buffers))
    positions = torch.cat([torch.arange(kv.length, kv.length + count) for kv in buffers])
    return Batch(torch.arange(rows) + 1000, positions.expand(3, rows), segments)

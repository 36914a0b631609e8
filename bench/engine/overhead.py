"""Measures the overhead of a decoding step: Python, calls and barriers without arithmetic."""

from __future__ import annotations

import time

import torch

from worker.engine.batch import Batch, Segment
from worker.engine.config import TextShape
from worker.engine.kernels.build import load_kernels
from worker.engine.memory.kv_cache import SequenceKV
from worker.engine.model.language_model import HEAD, TextModel
from worker.engine.ops.native import NativeOps
from worker.engine.ops.onednn import choose_bf16

#: As many layers as the full model, with almost no arithmetic.
_SHAPE = TextShape(
    layers=28,
    hidden=64,
    intermediate=64,
    heads=2,
    kv_heads=1,
    head_dim=64,
    vocab=256,
    eps=1e-6,
    rope_theta=1e4,
    mrope_section=(12, 10, 10),
    context=1024,
    tied=True,
)
_WIDTHS = {
    "embed_tokens": (256, 64),
    "q_proj": (128, 64),
    "k_proj": (64, 64),
    "v_proj": (64, 64),
    "o_proj": (64, 128),
    "gate_proj": (64, 64),
    "up_proj": (64, 64),
    "down_proj": (64, 64),
}


class _Random:
    def __contains__(self, name: object, /) -> bool:
        return name != HEAD

    def get(self, name: str) -> torch.Tensor:
        width = _WIDTHS.get(name.split(".")[-2], (64,))
        return torch.randn(width, dtype=torch.bfloat16) * 0.1


def seconds_per_step(threads: int, steps: int = 200) -> float:
    """Return the median time of a pass over one row."""
    torch.set_num_threads(threads)
    kernels = load_kernels()
    ops = NativeOps(kernels, "int8", threads) if kernels else choose_bf16()
    model = TextModel(_SHAPE, _Random(), ops)
    kv = SequenceKV(_SHAPE, steps + 1, torch.bfloat16)
    times = []
    with torch.inference_mode():
        for step in range(steps):
            started = time.perf_counter()
            batch = Batch(torch.tensor([1]), torch.full((3, 1), step), (Segment(kv, 0, 1),))
            int(model.forward(batch)[0].argmax())
            times.append(time.perf_counter() - started)
    return sorted(times)[steps // 2]

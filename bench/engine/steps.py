"""Decoding steps of several arithmetics in turn in one process, and how far their logits differ.

python -m bench.engine.steps transformers bf16         ours beside plain transformers
python -m bench.engine.steps bf16 int8 int4            memory for all of them is needed at once

Processor milliseconds of one thread after 100 tokens, which other programs disturb less than
seconds; ratios are to the first one. Logits are of 64 random tokens, with random weights, whose
rounding no training has made harmless: the likeness on a trained model is bench.quality.numerics.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench.engine.fullsize import default_folder, ensure_model
from worker.engine.batch import Batch, Segment
from worker.engine.checkpoint.opening import Checkpoint, open_checkpoint
from worker.engine.kernels.build import load_kernels
from worker.engine.memory.kv_cache import SequenceKV
from worker.engine.model.language_model import TextModel
from worker.engine.ops.native import NativeOps

_PLAIN = "transformers"
_NAMES = (_PLAIN, "bf16", "int8", "int4")
_CONTEXT, _COMPARED, _TOGETHER = 100, 64, 8

#: Computes one step of so many answers.
Step = Callable[[int], Any]


def main() -> None:
    """Load all, measure them in turn and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", choices=_NAMES)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--model", type=Path, default=default_folder())
    args = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = open_checkpoint(ensure_model(args.model))
    with torch.inference_mode():
        steps: dict[str, Step] = {}
        logits: dict[str, torch.Tensor] = {}
        for name in args.names:
            if name == _PLAIN:
                steps[name] = _plain_step(args.model)
            else:
                model = _load(checkpoint, name)
                steps[name], logits[name] = _step(model), _compared_logits(model)
        print(_table(_measure(steps, args.seconds)))
    for name in list(logits)[1:]:
        print(_likeness(name, next(iter(logits)), logits))


def _load(checkpoint: Checkpoint, numerics: Any) -> TextModel:
    kernels = load_kernels()
    if kernels is None:
        raise SystemExit("no compiled kernels work here")
    ops = NativeOps(kernels, numerics, 1)
    return TextModel(checkpoint.shape.text, checkpoint.weights, ops)


def _step(model: TextModel) -> Step:
    buffers = [SequenceKV(model.shape, _CONTEXT + 1, model.dtype) for _ in range(_TOGETHER)]
    for kv in buffers:
        kv.data.normal_()

    def step(count: int) -> None:
        for kv in buffers[:count]:
            kv.length = _CONTEXT
        segments = tuple(Segment(kv, at, 1) for at, kv in enumerate(buffers[:count]))
        positions = torch.full((3, count), _CONTEXT)
        model.forward(Batch(torch.arange(count) + 1000, positions, segments))

    return step


def _plain_step(folder: Path) -> Step:
    """Return a step of transformers, whose keys become one token more each time."""
    from transformers import Qwen3VLForConditionalGeneration

    model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16).eval()
    caches: dict[int, Any] = {}

    def step(count: int) -> None:
        ids = torch.arange(_CONTEXT).expand(count, _CONTEXT) + 1000
        if count not in caches:
            caches[count] = model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
        model(input_ids=ids[:, :1], past_key_values=caches[count], logits_to_keep=1)

    step(1)
    step(_TOGETHER)
    return step


def _compared_logits(model: TextModel) -> torch.Tensor:
    """Return (64, vocab) logits of random tokens."""
    ids = torch.randint(1000, 150_000, (_COMPARED,), generator=torch.Generator().manual_seed(3))
    kv = SequenceKV(model.shape, _COMPARED, model.dtype)
    positions = torch.arange(_COMPARED).expand(3, _COMPARED)
    return model.forward(Batch(ids, positions, (Segment(kv, 0, _COMPARED, _COMPARED),))).float()


def _measure(steps: dict[str, Step], seconds: float) -> dict[tuple[str, int], list[float]]:
    """Return the sorted processor seconds of all steps, by name and answers together."""
    taken: dict[tuple[str, int], list[float]] = {}
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for count in (1, _TOGETHER):
            for name, step in steps.items():
                started = time.process_time()
                step(count)
                taken.setdefault((name, count), []).append(time.process_time() - started)
    return {key: sorted(times) for key, times in taken.items()}


def _table(taken: dict[tuple[str, int], list[float]]) -> str:
    lines = ["| | answers | least, ms | median, ms | steps |", "|---|---|---|---|---|"]
    first = next(iter(taken))[0]
    for (name, count), times in taken.items():
        base = taken[first, count]
        cells = [
            f"{value * 1e3:.0f} ({reference / value:.2f}×)"
            for value, reference in ((times[0], base[0]), (_middle(times), _middle(base)))
        ]
        lines.append(f"| {name} | {count} | {' | '.join(cells)} | {len(times)} |")
    return "\n".join(lines)


def _middle(times: list[float]) -> float:
    return times[len(times) // 2]


def _likeness(name: str, other: str, logits: dict[str, torch.Tensor]) -> str:
    off = (logits[name] - logits[other]).abs()
    same = (logits[name].argmax(1) == logits[other].argmax(1)).float().mean()
    return (
        f"logits of {name} differ from {other}: mean {off.mean():.3f}, largest {off.max():.2f},"
        f" same best {same:.0%}, spread {logits[other].std():.2f}"
    )


if __name__ == "__main__":
    main()

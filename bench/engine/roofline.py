"""Where a cold question's time goes, beside what one thread of this CPU can do at most.

python -m bench.engine.roofline [--side 1024] [--numerics int8]

Each stage of the compiled kernels is timed once for one block or layer, in processor seconds of one
thread, and multiplied by how often it comes. Peaks are products from registers alone, and reads of
memory (peaks.cpp); the larger of a stage's two shares says what bounds it. In int8 the picture's
attention is measured in bfloat16 too, in turn, and said below the table.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from bench.engine.sizes import text_shape, vision_shape
from worker.engine.batch import Batch, Segment
from worker.engine.kernels.build import Kernels, load_kernels
from worker.engine.memory.kv_cache import SequenceKV
from worker.engine.ops.base import Activation, HeadNorms, Ops
from worker.engine.ops.native import NativeNumerics, NativeOps

_ATTEMPTS = 3
#: Tokens around the picture, and of a chunk of the prompt.
_WORDS, _CHUNK = 22, 128
#: Bytes of a value by what multiplies it.
_BYTES: dict[str, float] = {"int8": 1, "bf16": 2, "int4": 0.53125}

Unit = Literal["int8", "bf16"]


@dataclass(frozen=True, slots=True)
class Peaks:
    """Operations and bytes a second of one thread."""

    operations: dict[Unit, float]
    memory: float


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a cold question; figures are of all its repetitions."""

    name: str
    seconds: float
    operations: float
    #: Of weights, keys and activations that pass through memory.
    moved: float
    unit: Unit

    def row(self, whole_s: float, peaks: Peaks) -> str:
        """Return the stage as a row of the table."""
        computed = self.operations / self.seconds / peaks.operations[self.unit]
        moved = self.moved / self.seconds / peaks.memory
        return (
            f"| {self.name} | {self.seconds:.2f} | {self.seconds / whole_s:.1%}"
            f" | {self.operations / 1e12:.3f} | {self.moved / 1e9:.2f}"
            f" | {self.unit} | {computed:.0%} | {moved:.0%} |"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--numerics", choices=("int8", "bf16"), default="int8")
    args = parser.parse_args()
    torch.set_num_threads(1)
    kernels = load_kernels()
    if kernels is None:
        parser.exit(1, "no compiled kernels work here\n")
    peaks = measure_peaks(kernels)
    with torch.inference_mode():
        tower = Tower(kernels, args.numerics, args.side)
        stages = [*tower.stages()]
        stages += Prompt(kernels, args.numerics, (args.side // 32) ** 2 + _WORDS).stages()
    print(_table(stages, peaks, kernels.instructions.title, args.side))
    if args.numerics == "int8":
        print(_gain(stages, tower.wide_attention_s))


def measure_peaks(kernels: Kernels) -> Peaks:
    """Compile peaks.cpp for the kernels' instructions and run it; raises CalledProcessError."""
    sources = Path(__file__).parents[2] / "worker" / "engine" / "kernels"
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "peaks")
        flags = ["-O3", "-std=c++17", "-fopenmp", "-w", *kernels.instructions.compiler_flags]
        source = str(Path(__file__).with_name("peaks.cpp"))
        subprocess.run(["g++", *flags, f"-I{sources}", source, "-o", program], check=True)
        said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    int8, bf16, memory = map(float, said.split())
    return Peaks({"int8": int8, "bf16": bf16}, memory)


def _seconds(*runs: Callable[[], object]) -> list[float]:
    """Return the least processor seconds of some attempts of each, made in turn."""
    best = [float("inf")] * len(runs)
    for _ in range(_ATTEMPTS):
        for at, run in enumerate(runs):
            started = time.process_time()
            run()
            best[at] = min(best[at], time.process_time() - started)
    return best


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(shape).mul_(0.05).bfloat16()


class _Products:
    """Times linear layers of random weights."""

    def __init__(self, ops: Ops, numerics: NativeNumerics) -> None:
        self._ops, self._numerics = ops, numerics

    def stage(
        self,
        name: str,
        rows: int,
        sizes: tuple[int, int],
        times: float,
        *,
        activation: Activation = "none",
        residual: bool = False,
        keep_bf16: bool = False,
    ) -> Stage:
        """Return a layer of (inputs, outputs) that `rows` rows pass `times` times."""
        inputs, outputs = sizes
        unit: Unit = "bf16" if keep_bf16 or self._numerics == "bf16" else "int8"
        layer = self._ops.linear(_random(outputs, inputs), None, activation, keep_bf16=keep_bf16)
        x = _random(rows, inputs)
        made = outputs // 2 if activation == "swiglu" else outputs
        added = _random(rows, made) if residual else None
        (seconds,) = _seconds(lambda: layer(x, residual=added))
        moved = inputs * outputs * _BYTES[unit] + rows * (inputs + made * (1 + residual)) * 2
        operations = 2.0 * rows * inputs * outputs
        return Stage(name, seconds * times, operations * times, moved * times, unit)


class Tower:
    """The stages of a picture."""

    def __init__(self, kernels: Kernels, numerics: NativeNumerics, side: int) -> None:
        """`side` is of a square in pixels."""
        self._shape = vision_shape()
        self._ops = NativeOps(kernels, numerics, 1)
        self._wide_ops = NativeOps(kernels, "bf16", 1)
        self._unit: Unit = "bf16" if numerics == "bf16" else "int8"
        #: Seconds of the picture's attention in bfloat16; set by stages().
        self.wide_attention_s = 0.0
        self._products = _Products(self._ops, numerics)
        self._patches = (side // self._shape.patch) ** 2

    def stages(self) -> Iterator[Stage]:
        """Yield them in their order."""
        shape, patches, stage = self._shape, self._patches, self._products.stage
        hidden, wide = shape.hidden, shape.intermediate
        first = (shape.patch_values, hidden)
        yield stage("patch embedding", patches, first, 1, residual=True, keep_bf16=True)
        yield self._norms()
        yield stage("tower: queries, keys, values", patches, (hidden, 3 * hidden), shape.depth)
        yield self._attention()
        yield stage("tower: output", patches, (hidden, hidden), shape.depth, residual=True)
        up = (hidden, wide)
        yield stage("tower: up, GELU", patches, up, shape.depth, activation="gelu")
        yield stage("tower: down", patches, (wide, hidden), shape.depth, residual=True)
        merged, mergers = hidden * shape.merge**2, len(shape.deepstack) + 1
        rows = patches // shape.merge**2
        yield stage("mergers: up", rows, (merged, merged), mergers, keep_bf16=True)
        yield stage("mergers: down", rows, (merged, shape.out_hidden), mergers, keep_bf16=True)

    def _norms(self) -> Stage:
        x, weight = _random(self._patches, self._shape.hidden), _random(self._shape.hidden)
        times = 2 * self._shape.depth
        (seconds,) = _seconds(lambda: self._ops.layer_norm(x, weight, weight))
        moved = x.nbytes * 2 * times
        return Stage("tower: norms", seconds * times, 8.0 * x.numel() * times, moved, "bf16")

    def _attention(self) -> Stage:
        shape = self._shape
        qkv = _random(self._patches, 3 * shape.hidden)
        rotary = (torch.randn(self._patches, shape.head_dim),) * 2
        forms = [self._ops, self._wide_ops] if self._unit == "int8" else [self._ops]
        taken = _seconds(*(partial(ops.attend_image, qkv, shape.heads, rotary) for ops in forms))
        seconds, self.wide_attention_s = (taken[at] * shape.depth for at in (0, -1))
        operations = 4.0 * self._patches**2 * shape.hidden * shape.depth
        moved = 4 / 3 * qkv.nbytes * shape.depth
        return Stage("tower: attention", seconds, operations, moved, self._unit)


class Prompt:
    """The stages of the prompt, in chunks as the scheduler cuts it."""

    def __init__(self, kernels: Kernels, numerics: NativeNumerics, tokens: int) -> None:
        """`tokens` are those of the picture and of the question."""
        self._shape = text_shape()
        self._ops = NativeOps(kernels, numerics, 1)
        self._products = _Products(self._ops, numerics)
        self._tokens = tokens

    def stages(self) -> Iterator[Stage]:
        """Yield them in their order."""
        shape, stage = self._shape, self._products.stage
        times = shape.layers * self._tokens / _CHUNK
        heads = shape.heads * shape.head_dim
        keys = 2 * shape.kv_heads * shape.head_dim
        yield stage("prompt: queries, keys, values", _CHUNK, (shape.hidden, heads + keys), times)
        yield self._attention(times)
        yield stage("prompt: output", _CHUNK, (heads, shape.hidden), times, residual=True)
        gates = (shape.hidden, 2 * shape.intermediate)
        yield stage("prompt: gate and up, SwiGLU", _CHUNK, gates, times, activation="swiglu")
        down = (shape.intermediate, shape.hidden)
        yield stage("prompt: down", _CHUNK, down, times, residual=True)

    def _attention(self, times: float) -> Stage:
        """Return norms, rotation and attention of a chunk in the middle of the prompt."""
        shape, past = self._shape, max(0, self._tokens // 2 - _CHUNK // 2)
        kv = SequenceKV(shape, past + _CHUNK, torch.bfloat16)
        kv.data[:1].normal_()
        kv.length = past
        width = shape.head_dim
        norm = _random(width)
        norms = HeadNorms(norm, norm, eps=1e-6, heads=shape.heads, kv_heads=shape.kv_heads)
        positions = torch.zeros(3, _CHUNK, dtype=torch.long)
        batch = Batch(torch.zeros(_CHUNK), positions, (Segment(kv, 0, _CHUNK),))
        rotary = (_random(_CHUNK, width),) * 2
        qkv = _random(_CHUNK, (shape.heads + 2 * shape.kv_heads) * width)

        def attend() -> None:
            queries = self._ops.store_keys(qkv, norms, rotary, batch, 0)
            self._ops.attend(queries, batch, 0)

        operations = 4.0 * _CHUNK * (past + _CHUNK / 2) * shape.heads * width
        moved = kv.data[0].nbytes + qkv.nbytes * 2
        (seconds,) = _seconds(attend)
        return Stage(
            "prompt: attention", seconds * times, operations * times, moved * times, "bf16"
        )


def _table(stages: list[Stage], peaks: Peaks, title: str, side: int) -> str:
    """Return a table in Markdown."""
    whole = sum(stage.seconds for stage in stages)
    int8, bf16 = (peaks.operations[unit] / 1e9 for unit in ("int8", "bf16"))
    head = (
        f"One thread, {title}: {int8:.0f} GOP/s in int8, {bf16:.0f} GF/s in bfloat16,"
        f" {peaks.memory / 1e9:.1f} GB/s; cold {side}²: {whole:.1f} s"
    )
    lines = [
        head,
        "",
        "| stage | s | share | Tera-operations | GB | products in | of their peak | of memory's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(stage.row(whole, peaks) for stage in stages)])


def _gain(stages: list[Stage], wide_s: float) -> str:
    """Return what attention in int8 changes, beside attention in bfloat16."""
    whole = sum(stage.seconds for stage in stages)
    narrow_s = next(stage.seconds for stage in stages if stage.name == "tower: attention")
    before = whole - narrow_s + wide_s
    return (
        f"\nIts attention in bfloat16: {wide_s:.2f} s, in int8 {narrow_s / wide_s:.2f} of it;"
        f" cold {before:.1f} s and {whole / before:.2f} of it"
    )


if __name__ == "__main__":
    main()

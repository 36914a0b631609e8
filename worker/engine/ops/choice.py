"""Chooses the arithmetic of a model: by its numerics, its shape, the CPU and the settings.

| numerics | where the compiled kernels work (`NativeOps`) | elsewhere                             |
|----------|-----------------------------------------------|---------------------------------------|
| fp32     | never: it is the reference                    | `TorchOps`, plain torch               |
| bf16     | bfloat16 linear layers and attention          | `PackedOps`, oneDNN; `WidenedOps`     |
|          |                                               | where oneDNN has no bfloat16          |
| int8     | int8 linear layers, the rest as for bf16      | `Int8Ops`, oneDNN int8                |

The kernels work where all of these hold: `native_kernels` is set, they know the shape (native.py),
and `load_kernels` (kernels/build.py) accepts the CPU and has a compiler. Text and images are chosen
apart: the tower of a large model has heads that the kernels do not know. What oneDNN can do here
is tried out once (trial.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from shared.settings import Settings
from worker.engine.config import ModelShape
from worker.engine.kernels.build import load_kernels
from worker.engine.ops.base import Ops, TorchOps
from worker.engine.ops.native import NativeOps, supports_images, supports_text
from worker.engine.ops.onednn import Int8Ops, choose_bf16


@dataclass(frozen=True, slots=True)
class ChosenOps:
    """The arithmetic of both halves of a model; their dtypes are equal."""

    text: Ops
    images: Ops

    @property
    def name(self) -> str:
        """What computes, for people."""
        if self.text.name == self.images.name:
            return self.text.name
        return f"{self.text.name}; images: {self.images.name}"


def choose_ops(settings: Settings, shape: ModelShape) -> ChosenOps:
    """Return the fastest arithmetic of `settings.numerics` that works for the model here.

    Raises ValueError for int8 where the CPU's products of int8 are not exact.
    """
    if settings.numerics == "fp32":
        reference = TorchOps(torch.float32)
        return ChosenOps(reference, reference)
    native = _native_ops(settings, shape)
    text = native if native and supports_text(shape.text) else None
    images = native if native and supports_images(shape.vision) else None
    if text and images:
        return ChosenOps(text, images)
    other = Int8Ops() if settings.numerics == "int8" else choose_bf16()
    return ChosenOps(text or other, images or other)


def _native_ops(settings: Settings, shape: ModelShape) -> NativeOps | None:
    """Return the kernels' arithmetic, None where no half of the model can use it."""
    useful = supports_text(shape.text) or supports_images(shape.vision)
    if settings.numerics == "fp32" or not settings.native_kernels or not useful:
        return None
    kernels = load_kernels(settings.instructions)
    return None if kernels is None else NativeOps(kernels, settings.numerics, settings.threads)

"""Chooses the arithmetic of a model: by its numerics, its shape, the CPU and the settings.

Which numerics that are where nobody names them, numerics.py says.

| numerics | where the compiled kernels work (`NativeOps`) | elsewhere                             |
|----------|-----------------------------------------------|---------------------------------------|
| fp32     | never: it is the reference                    | `TorchOps`, plain torch               |
| bf16     | bfloat16 linear layers and attention          | `PackedOps`, oneDNN; `WidenedOps`     |
|          |                                               | where oneDNN has no bfloat16          |
| int8     | int8 linear layers, and attention of images   | `Int8Ops`, oneDNN int8                |
|          | where the CPU has such products; the rest as  |                                       |
|          | for bf16                                      |                                       |
| int4     | the language model's linear layers in int4,   | refused: nothing else multiplies it   |
|          | the tower as for int8                         | here                                  |

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
from worker.engine.ops.base import Ops, TorchOps
from worker.engine.ops.native import NativeOps, supports_images, supports_text
from worker.engine.ops.numerics import ComputedNumerics, find_kernels
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


def choose_ops(settings: Settings, shape: ModelShape, numerics: ComputedNumerics) -> ChosenOps:
    """Return the fastest arithmetic of such numerics that works for the model here.

    Raises ValueError for int8 where the CPU's products of int8 are not exact, and for int4 where
    the kernels do not work.
    """
    if numerics == "fp32":
        reference = TorchOps(torch.float32)
        return ChosenOps(reference, reference)
    kernels = find_kernels(settings)
    text = images = None
    if kernels and supports_text(shape.text):
        text = NativeOps(kernels, numerics, settings.threads)
    if kernels and supports_images(shape.vision):
        # the tower is bound by arithmetic, which 4 bits do not lessen
        finer = "int8" if numerics == "int4" else numerics
        images = NativeOps(kernels, finer, settings.threads)
    if numerics == "int4" and not text:
        raise ValueError(
            "int4 needs the compiled kernels, which do not work for this model on this machine:"
            " set SIGHTLINE_NUMERICS to int8"
        )
    if text and images:
        return ChosenOps(text, images)
    other = choose_bf16() if numerics == "bf16" else Int8Ops()
    return ChosenOps(text or other, images or other)

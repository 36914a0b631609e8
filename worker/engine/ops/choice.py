"""Chooses the arithmetic of a model: by its numerics, its shape, the CPU and the settings.

| numerics | where the compiled kernels work (`NativeOps`)     | elsewhere                    |
|----------|---------------------------------------------------|------------------------------|
| fp32     | never: it is the reference                        | `TorchOps`, plain torch      |
| bf16     | bfloat16 linear layers and attention              | `PackedOps`, oneDNN bfloat16 |
| int8     | int8 linear layers, the rest as for bf16          | `Int8Ops`, oneDNN int8       |

The kernels work where all of these hold: `native_kernels` is set, `supports_shape` (native.py)
accepts the model, and `load_kernels` (kernels/build.py) accepts the CPU and has a compiler.
"""

from __future__ import annotations

import ctypes

import torch

from shared.settings import Settings
from worker.engine.config import ModelShape
from worker.engine.kernels.build import load_kernels
from worker.engine.ops.base import Ops, TorchOps
from worker.engine.ops.native import NativeOps, supports_shape
from worker.engine.ops.onednn import Int8Ops, PackedOps


def choose_ops(settings: Settings, shape: ModelShape) -> Ops:
    """Return the fastest arithmetic of `settings.numerics` that works for the model here."""
    numerics = settings.numerics
    if numerics == "fp32":
        return TorchOps(torch.float32)
    kernels = _usable_kernels(settings, shape)
    if kernels is not None:
        return NativeOps(kernels, numerics, settings.threads)
    return Int8Ops() if numerics == "int8" else PackedOps()


def _usable_kernels(settings: Settings, shape: ModelShape) -> ctypes.CDLL | None:
    if settings.native_kernels and supports_shape(shape):
        return load_kernels()
    return None

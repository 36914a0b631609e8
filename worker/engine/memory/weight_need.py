"""The memory that a model's weights take once they are loaded, from its shape alone."""

from __future__ import annotations

from math import prod

from worker.engine.checkpoint.tensors import list_tensors
from worker.engine.config import ModelShape
from worker.engine.model.language_model import HEAD
from worker.engine.ops.numerics import ComputedNumerics

#: Bytes of one weight; in int4 with the scale and the zero of each group of 64.
_TEXT_BYTES: dict[ComputedNumerics, float] = {"fp32": 4, "bf16": 2, "int8": 1, "int4": 0.53125}
#: The tower's: 4 bits do not make it faster.
_IMAGE_BYTES: dict[ComputedNumerics, float] = {**_TEXT_BYTES, "int4": 1}
#: Of the embedding, whose pages are the file's own, mostly in bfloat16.
_EMBEDDING_BYTES = 2
#: Of a worker without any model: its libraries.
_LIBRARIES = 250 << 20


def weight_bytes(shape: ModelShape, numerics: ComputedNumerics) -> int:
    """Return about how many bytes a worker takes that has loaded such a model and does nothing."""
    total = float(_LIBRARIES)
    for name, size in list_tensors(shape).items():
        if name.endswith("embed_tokens.weight"):
            total += prod(size) * _EMBEDDING_BYTES
        elif name != HEAD:
            kind = _IMAGE_BYTES if ".visual." in name else _TEXT_BYTES
            total += prod(size) * kind[numerics]
    return round(total + _head_bytes(shape, numerics))


def _head_bytes(shape: ModelShape, numerics: ComputedNumerics) -> float:
    """Return the bytes of the logits' layer: none where it is the embedding itself."""
    if shape.text.tied and numerics == "bf16":
        return 0
    return shape.text.vocab * shape.text.hidden * _TEXT_BYTES[numerics]

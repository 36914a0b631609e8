"""Chooses the numerics of a model where the settings leave it open (`SIGHTLINE_NUMERICS=auto`).

int8 is about as right as bfloat16 and twice as fast, or faster (bench/RESULTS.md), where its
products are exact with 8-bit weights. fp32 is a reference and int4 less exact: neither is chosen
unasked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from shared.settings import Settings
from worker.engine.config import ModelShape
from worker.engine.kernels.build import Kernels, load_kernels
from worker.engine.ops.native import supports_images, supports_text
from worker.engine.ops.trial import int8_levels

ComputedNumerics = Literal["bf16", "int8", "int4", "fp32"]
COMPUTED: tuple[str, ...] = get_args(ComputedNumerics)
_EIGHT_BITS = 127


@dataclass(frozen=True, slots=True)
class ChosenNumerics:
    """The numerics that a model is computed in."""

    name: ComputedNumerics
    #: Why, for people.
    reason: str


def find_kernels(settings: Settings) -> Kernels | None:
    """Return the compiled kernels, None where settings or CPU rule them out, or no compiler is."""
    return load_kernels(settings.instructions) if settings.native_kernels else None


def choose_numerics(
    settings: Settings, shape: ModelShape, wanted: ComputedNumerics | None
) -> ChosenNumerics:
    """Return the numerics of the settings, else what the checkpoint wants, else the fastest.

    `wanted` is what the checkpoint's sightline.json names, one of `COMPUTED` or None.
    """
    if settings.numerics != "auto":
        return ChosenNumerics(settings.numerics, "set by SIGHTLINE_NUMERICS")
    if wanted:
        return ChosenNumerics(wanted, "named by the model's sightline.json")
    kernels = find_kernels(settings)
    if kernels and supports_text(shape.text) and supports_images(shape.vision):
        return ChosenNumerics("int8", "the fastest that is about as right as bf16")
    if _has_eight_bits():
        return ChosenNumerics("int8", "the fastest that is about as right as bf16, by oneDNN")
    return ChosenNumerics("bf16", "without compiled kernels int8 is less exact on this CPU")


def _has_eight_bits() -> bool:
    """Tell whether oneDNN sums products of 8-bit weights exactly here."""
    try:
        return int8_levels() == _EIGHT_BITS
    except ValueError:
        return False

"""Chooses the type of numbers in which torch computes a model of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from shared.settings import Settings
from shared.system_memory import available_bytes
from worker.engine.ops.numerics import ChosenNumerics

_DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
#: Bytes of a number in a file, by the type that config.json names.
_WIDTHS = {"float32": 4, "float64": 8}
#: Share of the memory that weights may take.
_MOST = 0.9


def choose_dtype(
    settings: Settings, weight_bytes: int, raw: Mapping[str, Any]
) -> tuple[ChosenNumerics, torch.dtype]:
    """Return numerics and type for weights of so many bytes; raises ValueError if none works.

    Whoever names no numerics gets bf16 where the CPU multiplies it, else fp32. Weights that do not
    fit into memory are refused before the system kills the process for them.
    """
    chosen = _choose(settings)
    if chosen.name not in _DTYPES:
        raise ValueError(
            f"the generic engine computes in bf16 or fp32, not in {chosen.name}:"
            " set SIGHTLINE_NUMERICS=auto"
        )
    dtype = _DTYPES[chosen.name]
    needed = weight_bytes * dtype.itemsize // _WIDTHS.get(str(_named_dtype(raw)), 2)
    available = available_bytes()
    if available is not None and needed > _MOST * available:
        advice = "; SIGHTLINE_NUMERICS=bf16 needs half of it" if dtype.itemsize > 2 else ""
        raise ValueError(
            f"in {chosen.name} the weights need {needed >> 20} MiB of memory, and"
            f" {available >> 20} MiB are available{advice}"
        )
    return chosen, dtype


def _choose(settings: Settings) -> ChosenNumerics:
    if settings.numerics != "auto":
        return ChosenNumerics(settings.numerics, "set by SIGHTLINE_NUMERICS")
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():  # noqa: SLF001
        return ChosenNumerics("bf16", "this CPU multiplies bf16, which takes half the memory")
    return ChosenNumerics("fp32", "this CPU does not multiply bf16")


def _named_dtype(raw: Mapping[str, Any]) -> object:
    text = raw.get("text_config") or {}
    return (
        raw.get("dtype") or raw.get("torch_dtype") or text.get("dtype") or text.get("torch_dtype")
    )

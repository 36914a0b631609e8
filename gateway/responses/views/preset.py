"""Presets as callers see them."""

from __future__ import annotations

from typing import Any

from shared.catalog.presets import BUILT_IN, Preset

_BUILT_IN_NAMES = {preset.name for preset in BUILT_IN}


def preset_view(preset: Preset) -> dict[str, Any]:
    """Return a preset as `/v1/presets` lists it."""
    return {
        "name": preset.name,
        "object": "preset",
        "description": preset.description,
        "builtin": preset.name in _BUILT_IN_NAMES,
        "prompt": dict(preset.prompt),
        "needs": sorted(preset.needs),
        "params": preset.params.model_dump(mode="json"),
        "postprocess": list(preset.postprocess),
        "enhance": preset.enhance,
    }

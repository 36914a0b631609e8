"""The presets and rules that a submission may name."""

from __future__ import annotations

from typing import Any, Literal

from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from gateway.services import current_services
from shared.catalog.presets import BUILT_IN as BUILT_IN_PRESETS
from shared.catalog.presets import Language, Preset
from shared.catalog.rules import Rule
from shared.jobs import GenerationParams
from shared.jobs.enhancement import Enhancement

presets = APIBlueprint("presets", __name__, abp_tags=[Tag(name="service")])

_BUILT_IN = {preset.name for preset in BUILT_IN_PRESETS}


class PresetState(BaseModel):
    """A preset with all that it gives to a submission."""

    name: str
    object: Literal["preset"]
    description: str
    builtin: bool = Field(description="False for those of the operator.")
    prompt: dict[Language, str] = Field(
        description="By language. `{prompt}` stands for the caller's words, `{fields}` for the "
        "names in `fields`."
    )
    needs: list[Literal["prompt", "fields"]] = Field(
        description="What a submission must give with it."
    )
    params: GenerationParams
    postprocess: list[str]
    enhance: Enhancement


class PresetList(BaseModel):
    """The presets, and the rules that they and submissions may name."""

    object: Literal["list"]
    data: list[PresetState]
    rules: list[Rule]


@presets.get("/v1/presets", summary="What can be asked by name?", responses={200: PresetList})
def list_presets() -> dict[str, Any]:
    """Return every preset and every rule of this service."""
    found = current_services()
    return {
        "object": "list",
        "data": [_told(preset) for preset in found.presets.values()],
        "rules": [rule.model_dump() for rule in found.rules.rules],
    }


def _told(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "object": "preset",
        "description": preset.description,
        "builtin": preset.name in _BUILT_IN,
        "prompt": dict(preset.prompt),
        "needs": sorted(preset.needs),
        "params": preset.params.model_dump(mode="json"),
        "postprocess": list(preset.postprocess),
        "enhance": preset.enhance,
    }

"""The shapes of presets as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from shared.catalog.presets import Language
from shared.catalog.rules import Rule
from shared.jobs import GenerationParams
from shared.jobs.parameters.enhancement import Enhancement


class PresetState(BaseModel):
    """A preset with everything it sets in a submission."""

    name: str
    object: Literal["preset"]
    description: str
    builtin: bool = Field(description="False for presets added by the operator.")
    prompt: dict[Language, str] = Field(
        description="By language. `{prompt}` is replaced by the caller's prompt, `{fields}` by the "
        "names in `fields`, `{labels}` by what is looked for: `labels`, or the `phrase`."
    )
    needs: list[Literal["prompt", "fields", "labels"]] = Field(
        description="What a submission must provide with it."
    )
    params: GenerationParams
    postprocess: list[str]
    enhance: Enhancement


class PresetList(BaseModel):
    """The presets and rules that a submission may use."""

    object: Literal["list"]
    data: list[PresetState]
    rules: list[Rule]

"""The shapes of models in OpenAI's form as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from gateway.schemas.parameters import Parameters


class ModelState(BaseModel):
    """A loaded model in OpenAI's format, with additional details."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    revision: str
    engine: str = Field(
        description="What computes it: `sightline`, `transformers` (the generic engine) or "
        "`simulated`."
    )
    not_available: list[str] = Field(
        description="What this engine cannot do, out of `constraints`, `drafts`, `image_features`, "
        "`pointing` and `prefix_cache`."
    )
    numerics: str
    numerics_reason: str = Field(description="Why the model is computed in these numerics.")
    arithmetic: str = Field(
        description="What computes on the worker's machine, and in which type of numbers."
    )
    context_tokens: int
    sampling: dict[str, float] = Field(
        description="What its makers recommend in generation_config.json; used for each parameter "
        "that a sampled request leaves open."
    )
    thinks: bool = Field(
        description="Whether it can think before it answers; see `enable_thinking`."
    )
    demo: bool = Field(description="Whether it is the bundled model.")
    simulated: bool = Field(
        description="Whether it is the simulated engine, for load tests and trying an integration."
    )
    revisions: list[str] = Field(
        description="Those that its workers serve; a request may name one behind `@`."
    )
    workers: list[str] = Field(description="The IDs of its workers.")
    slots: int = Field(description="Jobs that they can run at once.")
    default: bool = Field(
        description="Whether the operator has made it the model of requests that name none."
    )
    aliases: list[str] = Field(description="The operator's other names for it.")


class ModelPath(Parameters):
    """Names a model."""

    model_id: str = Field(
        description="Its ID, another name of the operator's, or `sightline` for the default model."
    )


class ModelList(BaseModel):
    """The models of the running workers."""

    object: Literal["list"]
    data: list[ModelState]

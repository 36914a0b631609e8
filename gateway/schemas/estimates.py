"""The shapes of an estimate as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class EstimatedImage(BaseModel):
    """An image as the model would see it."""

    id: str | None = Field(None, description="Of an image that is stored already.")
    width: int
    height: int
    used: list[int] = Field(description="Pixels that the model would see.")
    tokens: int
    tiles: int = Field(1, description="About how many parts it would be cut into.")


class EstimatedSeconds(BaseModel):
    """Predicted seconds from now to the answer, and stage by stage once it is begun."""

    p50: float
    p95: float
    prepare: float
    encode: float
    prefill: float
    decode: float


class EstimatedQueue(BaseModel):
    """Where the job would wait."""

    position: int
    wait_s: float | None


class Refusal(BaseModel):
    """Why a job would not be taken now."""

    code: str
    detail: str
    retry_after_s: int


class Estimate(BaseModel):
    """What a job would cost."""

    object: Literal["estimate"]
    images: list[EstimatedImage]
    image_tokens: int
    expected_tokens: int = Field(description="Of the answer, from earlier ones of its preset.")
    tiles: int
    seconds: EstimatedSeconds | None = Field(description="null while no worker knows its speed.")
    queue: EstimatedQueue
    warnings: list[dict[str, str]]
    admitted: bool = Field(description="Would it be taken now?")
    refusal: Refusal | None

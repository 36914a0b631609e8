"""The shapes of an estimate as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from gateway.schemas.uploads.documents import JobDocument


class EstimatedImage(BaseModel):
    """An image as the model would see it."""

    id: str | None = Field(None, description="ID of an image that is already stored.")
    width: int
    height: int
    used: list[int] = Field(description="Pixels that the model would see.")
    tokens: int
    tiles: int = Field(1, description="Approximate number of tiles.")


class EstimatedSeconds(BaseModel):
    """Predicted seconds from now to the answer, and of each stage once the job starts."""

    p50: float
    p95: float
    prepare: float
    encode: float
    prefill: float
    decode: float
    read: float = Field(description="Of the second reader.")


class EstimatedQueue(BaseModel):
    """Where the job would wait."""

    position: int
    wait_s: float | None


class Refusal(BaseModel):
    """Why the job would be refused now."""

    code: str
    detail: str
    retry_after_s: int


class Estimate(BaseModel):
    """What a job would cost."""

    object: Literal["estimate"]
    model: str = Field("", description="The model that would answer; empty while none is up.")
    images: list[EstimatedImage]
    document: JobDocument | None = Field(None, description="The document and its pages.")
    model_pages: int = Field(
        0, description="Pages of the document that the model has to look at; the others have text."
    )
    image_tokens: int
    expected_tokens: int = Field(
        description="Expected length of the answer, from earlier answers with the same preset."
    )
    tiles: int
    seconds: EstimatedSeconds | None = Field(
        description="null until a worker has measured its speed."
    )
    queue: EstimatedQueue
    warnings: list[dict[str, str]]
    admitted: bool = Field(description="Whether the job would be accepted now.")
    refusal: Refusal | None

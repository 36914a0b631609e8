"""The shape of `/v1/limits` as the OpenAPI document shows it."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ImageLimits(BaseModel):
    """What an image is held to."""

    formats: list[str]
    max_bytes: int
    max_pixels: int
    max_pixels_baseline_jpeg: int
    max_side: int
    max_aspect: float
    kept_pixels: int
    long_pixels: int = Field(description="Kept of an image that may be looked at in tiles.")
    detail_pixels: dict[str, int] = Field(description="Pixel budget of each `detail`.")
    ttl_s: int
    decode_timeout_s: float = Field(description="Seconds that decoding may take.")


class RequestLimits(BaseModel):
    """What a request is held to."""

    max_bytes: int
    max_images: int
    max_prompt_chars: int
    max_wait_s: int
    max_metadata_bytes: int
    headers_timeout_s: float = Field(description="Seconds for the headers.")
    body_grace_s: float = Field(description="Seconds for any body.")
    body_min_bytes_s: float = Field(description="Bytes a second that a longer body comes with.")


class JobLimits(BaseModel):
    """What a job is held to."""

    ttl_s: int
    max_ttl_s: int
    max_deadline_s: int
    max_new_tokens: int
    timeout_s: float
    max_attempts: int


class QueueLimits(BaseModel):
    """What ends in a 503 because others came first."""

    max_wait_s: float = Field(description="Predicted wait beyond which a job is refused.")
    max_jobs: int = Field(description="Waiting jobs of everybody together.")


class KeyLimit(BaseModel):
    """One limit of a key."""

    limit: int | None = Field(description="null is no limit.")
    used: int


class KeyLimits(BaseModel):
    """The limits of the key that asks."""

    name: str | None = Field(description="null without a key.")
    limits: dict[str, KeyLimit]
    reset_s: float = Field(description="Until this minute ends.")


class Limits(BaseModel):
    """Every bound that a request is held to."""

    image: ImageLimits
    request: RequestLimits
    job: JobLimits
    queue: QueueLimits
    key: KeyLimits

"""The shape of `/v1/limits` as the OpenAPI document shows it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from shared.store.access.api_key_types import Scope


class ImageLimits(BaseModel):
    """Limits for an image."""

    formats: list[str]
    max_bytes: int
    max_pixels: int
    max_pixels_baseline_jpeg: int
    max_side: int
    max_aspect: float
    kept_pixels: int
    long_pixels: int = Field(description="Pixels stored of an image that may be cut into tiles.")
    detail_pixels: dict[str, int] = Field(description="Pixel budget of each `detail`.")
    ttl_s: int
    decode_timeout_s: float = Field(description="Maximum seconds for decoding.")


class DocumentLimits(BaseModel):
    """Limits for a document."""

    kinds: list[str] = Field(description="Detected from the file's content.")
    max_bytes: int
    max_pages: int
    max_page_pixels: int = Field(description="Larger pages are drawn smaller.")
    min_dpi: int
    max_dpi: int
    default_dpi: int
    page_timeout_s: float = Field(description="Maximum seconds for drawing a page.")
    ttl_s: int


class RequestLimits(BaseModel):
    """Limits for a request."""

    max_bytes: int
    max_images: int
    max_prompt_chars: int
    max_wait_s: int
    max_metadata_bytes: int
    headers_timeout_s: float = Field(description="Maximum seconds to receive the headers.")
    body_grace_s: float = Field(description="Seconds allowed for any body.")
    body_min_bytes_s: float = Field(
        description="Minimum bytes per second for bodies that take longer."
    )


class JobLimits(BaseModel):
    """Limits for a job."""

    ttl_s: int
    max_ttl_s: int
    max_deadline_s: int
    max_new_tokens: int
    timeout_s: float
    max_attempts: int


class QueueLimits(BaseModel):
    """Queue limits above which new jobs get a 503."""

    max_wait_s: float = Field(description="Predicted wait beyond which a job is refused.")
    max_jobs: int = Field(description="Maximum number of waiting jobs of all callers.")


class KeyLimit(BaseModel):
    """One limit of a key."""

    limit: int | None = Field(description="null means no limit.")
    used: int


class KeyLimits(BaseModel):
    """The limits of the calling key."""

    name: str | None = Field(description="null if no key was sent.")
    scopes: list[Scope] = Field(description="What the key may do.")
    retention_s: int | None = Field(
        description="Seconds that results, conversations and files of this key are kept at most; "
        "null: as the service says."
    )
    limits: dict[str, KeyLimit]
    reset_s: float = Field(description="Seconds until the current minute ends.")


class Limits(BaseModel):
    """Every limit that applies to a request."""

    image: ImageLimits
    document: DocumentLimits
    request: RequestLimits
    job: JobLimits
    queue: QueueLimits
    key: KeyLimits

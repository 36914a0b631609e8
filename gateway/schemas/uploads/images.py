"""The shapes of images as the OpenAPI document shows them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.schemas.parameters import Parameters, Sha256, known_form
from shared.jobs.parameters.route import MAX_MODEL_CHARS

_IMAGE_ID = re.compile(r"img_[0-9a-f]{64}")


class ImagePath(Parameters):
    """Names an image."""

    image_id: Annotated[str, known_form(_IMAGE_ID)] = Field(description="`img_<sha256>`")


class FileClaim(BaseModel):
    """What a sender says of its file, so that a loss on the way is noticed."""

    model_config = ConfigDict(populate_by_name=True)

    sha256: Sha256 | None = Field(None, description="SHA-256 of the file.")
    file_bytes: int | None = Field(None, ge=0, alias="bytes", description="Size of the file.")


class ImageUpload(FileClaim):
    """The JSON body of an upload."""

    model_config = ConfigDict(extra="forbid")

    image: str = Field(description="An http(s) URL, a data: URI or plain base64.")


class ImageState(BaseModel):
    """A stored image."""

    id: str
    object: Literal["image"]
    width: int
    height: int
    used: list[int] = Field(description="Size in pixels that the model sees by default.")
    tokens: int = Field(description="Visual tokens by default.")
    tiles: int = Field(1, description="Approximate number of tiles by default.")
    predicted_s: float | None = Field(
        description="Seconds to encode it by default; null until a worker has measured its speed."
    )
    format: str
    bytes: int
    warnings: list[dict[str, str]]
    expires_in_s: int
    warm_job: str | None = Field(description="The job that encodes it, if `warm` was set.")


class WarmQuery(Parameters):
    """Whether an uploaded image is encoded before the first question."""

    warm: bool = Field(False, description="Encode it now, with the pixel budget of `detail`.")
    detail: Literal["auto", "low", "high"] = "auto"
    model: str | None = Field(
        None, max_length=MAX_MODEL_CHARS, description="The model that encodes it; as in `Job`."
    )

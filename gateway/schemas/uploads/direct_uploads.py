"""The shapes of direct uploads as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class DirectUploadView(BaseModel):
    """An upload that is still to come."""

    id: str = Field(description="`upload_…`, for `images` and `document` of a request.")
    method: Literal["PUT"]
    url: str = Field(description="Takes the bytes; whoever has it may send them.")
    url_expires_in_s: int
    expires_in_s: int = Field(description="How long the id can be used; the bytes go then.")
    max_bytes: int = Field(description="More are not read, whatever the bucket has taken.")

"""The shapes of files and batches as the OpenAPI document shows them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.schemas.parameters import MAX_URL_CHARS, Parameters, known_form

_FILE_ID = re.compile(r"file-[0-9A-F]{33}")
_LINK_ID = re.compile(r"link_[0-9a-f]{48}")
_BATCH_ID = re.compile(r"batch_[0-9a-f]{32}")


class FilePath(Parameters):
    """Names a file."""

    file_id: Annotated[str, known_form(_FILE_ID)] = Field(description="`file-…`")


class ContentQuery(Parameters):
    """How the content is sent."""

    direct: bool = Field(
        False,
        description="Answer 302 with a URL of the bucket, signed for five minutes, where the "
        "operator allows it and the content lies there; else the content comes as usual.",
    )


class LinkPath(Parameters):
    """Names a link to a file."""

    link_id: Annotated[str, known_form(_LINK_ID)] = Field(description="`link_…`")


class LinkQuery(Parameters):
    """How long a link opens its file."""

    expiry: int = Field(24, ge=1, le=168, description="Hours.")


class BatchPath(Parameters):
    """Names a batch."""

    batch_id: Annotated[str, known_form(_BATCH_ID)] = Field(description="`batch_…`")


class PageQuery(Parameters):
    """A page; newest first, where no order is named."""

    limit: int = Field(20, ge=1, le=100)
    after: str | None = Field(None, max_length=100, description="The last ID of the previous page.")


class FilesQuery(PageQuery):
    """A page of files."""

    limit: int = Field(100, ge=1, le=10_000)
    purpose: str | None = Field(None, max_length=40, description="Only files of this purpose.")
    order: Literal["asc", "desc"] = "desc"


class FileForm(BaseModel):
    """The form fields beside the file of POST /v1/files."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    purpose: Literal["batch", "user_data", "assistants", "vision", "ocr"]
    anchor: Literal["created_at"] | None = Field(None, alias="expires_after[anchor]")
    seconds: int | None = Field(
        None,
        ge=3600,
        le=2_592_000,
        alias="expires_after[seconds]",
        description="How long it is kept.",
    )
    expiry: int | None = Field(None, ge=1, le=720, description="The same in hours, as Mistral's.")
    visibility: Literal["user", "workspace"] | None = Field(
        None, description="Mistral's; a file belongs to its API key."
    )

    @property
    def ttl_s(self) -> int | None:
        """Return how long the file is kept; None where the form does not say."""
        return self.expiry * 3600 if self.expiry else self.seconds


class OutputExpiry(BaseModel):
    """How long the files of a batch's results are kept."""

    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"]
    seconds: int = Field(ge=3600, le=2_592_000)


class BatchRequest(BaseModel):
    """The body of POST /v1/batches."""

    model_config = ConfigDict(extra="forbid")

    input_file_id: str = Field(max_length=100, description="A file of purpose `batch`.")
    endpoint: Literal["/v1/chat/completions", "/v1/responses"]
    completion_window: str = Field(
        pattern=r"^[1-9][0-9]{0,2}[hd]$",
        description="`24h`, or another time up to `30d`, after which what is not done expires.",
    )
    metadata: dict[str, Any] | None = Field(None, max_length=16, description="Returned unchanged.")
    output_expires_after: OutputExpiry | None = Field(
        None, description="How long the files of its results are kept, from its end."
    )
    webhook: str | None = Field(
        None,
        max_length=MAX_URL_CHARS,
        description="The http(s) URL to notify when it ends (`batch.completed` and others).",
    )


class FileObject(BaseModel):
    """A file without its content."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: Literal["batch", "batch_output", "user_data", "assistants", "vision", "ocr"]
    status: Literal["processed"]
    status_details: None
    sample_type: Literal["ocr_input"] | None = Field(
        None, description="This and what follows only with the purpose `ocr`, for Mistral's client."
    )
    source: Literal["upload"] | None = None
    deleted: Literal[False] | None = None


class FileList(BaseModel):
    """A page of files."""

    object: Literal["list"]
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedFile(BaseModel):
    """What is left of a deleted file."""

    id: str
    object: Literal["file"]
    deleted: Literal[True]


class BatchObject(BaseModel):
    """OpenAI's batch."""

    id: str
    object: Literal["batch"]
    endpoint: str
    errors: dict[str, Any] | None
    input_file_id: str
    completion_window: str
    status: Literal[
        "validating", "in_progress", "cancelling", "completed", "failed", "expired", "cancelled"
    ]
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: dict[str, int]
    metadata: dict[str, Any]


class BatchList(BaseModel):
    """A page of batches."""

    object: Literal["list"]
    data: list[BatchObject]
    first_id: str | None
    last_id: str | None
    has_more: bool

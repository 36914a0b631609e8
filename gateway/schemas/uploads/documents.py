"""The shapes of documents as the OpenAPI document shows them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.schemas.parameters import Parameters, known_form
from gateway.schemas.uploads.images import FileClaim
from shared.jobs.document import MAX_DPI

_DOCUMENT_ID = re.compile(r"doc_[0-9a-f]{64}")
#: Pixels per inch of a page that is looked at beside its text.
_SHOWN_DPI = 96


class DocumentPath(Parameters):
    """Names a document."""

    document_id: Annotated[str, known_form(_DOCUMENT_ID)] = Field(description="`doc_<sha256>`")


class PagePath(DocumentPath):
    """Names a page of a document."""

    page: int = Field(ge=1, le=100_000, description="Number of the page, from 1.")


class PageQuery(Parameters):
    """How large a page is drawn."""

    dpi: int = Field(_SHOWN_DPI, ge=10, le=MAX_DPI, description="Pixels per inch, for a PDF.")
    max_pixels: int = Field(
        4_194_304, ge=1024, le=16_777_216, description="A larger page is drawn smaller."
    )
    turn: bool = Field(
        True,
        description="Whether a page whose content lies on its side is turned upright. Boxes lie on "
        "the page as it is filed: `turn=false`.",
    )


class DocumentUpload(FileClaim):
    """The JSON body of an upload."""

    model_config = ConfigDict(extra="forbid")

    document: str = Field(description="An http(s) URL, a data: URI or plain base64.")
    password: SecretStr | None = Field(None, max_length=256)


class DocumentForm(FileClaim):
    """The fields beside the file of an upload."""

    password: SecretStr | None = Field(None, max_length=256)


class JobDocument(BaseModel):
    """The document of a job."""

    id: str
    kind: str
    name: str | None = Field(None, description="The name of the file, if it had one.")
    page_count: int
    pages: list[int] = Field(description="Numbers of the pages that are read, in their order.")


class DocumentPage(BaseModel):
    """A page, as seen without drawing it."""

    number: int
    width: float = Field(description="Of the upright page: points in a PDF, else pixels.")
    height: float
    rotation: int = Field(description="Degrees clockwise by which the file turns the page.")
    text_characters: int | None = Field(
        description="Characters of its own text; null if they were not counted."
    )
    text_trusted: bool = Field(description="Its own text is taken by `text_layer=auto`.")
    text_doubt: str | None = Field(description="Why not.")
    blank: bool | None = Field(description="It shows nothing; null if that is not known yet.")
    tokens: int = Field(description="Visual tokens by default; 0 if its own text is taken.")
    predicted_s: float | None = Field(
        description="Seconds to read it by default, as `preset=ocr` does in an idle service; null "
        "until a worker has measured its speed, 0 if its own text is taken."
    )


class DocumentState(BaseModel):
    """A stored document."""

    id: str
    object: Literal["document"]
    kind: Literal["pdf", "tiff", "gif", "webp", "apng"]
    bytes: int
    sha256: str
    title: str | None
    encrypted: bool = Field(description="It came encrypted; it is stored without.")
    warnings: list[dict[str, str]]
    expires_at: str
    page_count: int
    pages: list[DocumentPage]

"""The answers of Mistral's OCR and of Open WebUI's loader as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel


class OcrDimensions(BaseModel):
    """The size of a page as it is read."""

    dpi: int = Field(description="Of an image, whose size on paper is not known, 72.")
    width: int
    height: int


class OcrTable(BaseModel):
    """A table that was taken out of a page's text."""

    id: str
    content: str
    format: Literal["markdown", "html"]


class OcrImage(BaseModel):
    """A figure that was cut out of a page; its name is its link in the text."""

    id: str
    top_left_x: int = Field(description="Pixels of the page as `dimensions` gives them.")
    top_left_y: int
    bottom_right_x: int
    bottom_right_y: int
    image_base64: str | None = Field(description="A data: URI of a JPEG, with the option.")
    image_annotation: str | None = Field(description="A text of JSON, with the option.")


class OcrPage(BaseModel):
    """A page."""

    index: int = Field(description="From 0.")
    markdown: str = Field(description="`[unread: page N]`, from 1, where it could not be read.")
    images: list[OcrImage] = Field(
        description="Figures beside the page's own text; empty unless the request asks for them."
    )
    tables: list[OcrTable]
    hyperlinks: Annotated[list[str], Field(max_length=0)]
    header: str | None
    footer: str | None
    dimensions: OcrDimensions | None


class OcrUsage(BaseModel):
    """What was read."""

    pages_processed: int
    doc_size_bytes: int | None = Field(description="Of a document; null for an image.")


class OcrAnswer(BaseModel):
    """Mistral's answer."""

    pages: list[OcrPage]
    model: str
    document_annotation: str | None = Field(description="A text of JSON, with the option.")
    usage_info: OcrUsage
    warnings: list[dict[str, Any]] = Field(description="As those of a job.")


class LoadedText(BaseModel):
    """A page as Open WebUI stores it."""

    page_content: str
    metadata: dict[str, Any]


class LoadedFile(RootModel[list[LoadedText]]):
    """The pages of a file."""


class FileLinkAnswer(BaseModel):
    """A URL that opens a file for whoever has it."""

    url: str

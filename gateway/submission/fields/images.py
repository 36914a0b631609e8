"""The images and the document of a submission, and what says that they have arrived whole."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
)

from gateway.images.uploads import UploadChecksum
from gateway.schemas.parameters import Sha256
from gateway.submission.fields.values import MAX_FILES, PageName, as_list
from shared.errors import BadParameters
from shared.jobs.document import DEFAULT_DPI, Dpi, RunningLines, TextLayer

#: Parameters that only documents have.
DOCUMENT_NAMES = ("pages", "text_layer", "dpi", "running_lines")


def _as_document_text(value: Any) -> Any:
    """Return the one value of an object such as `{"id": "doc_…"}`."""
    if isinstance(value, dict):
        if len(value) != 1 or not value.keys() <= {"id", "url", "data"}:
            raise ValueError("must be a text, or an object with id, url or data")
        return next(iter(value.values()))
    return value


class ImageFields(BaseModel):
    """The images and the document of a submission."""

    images: Annotated[list[str], BeforeValidator(as_list)] = Field(
        default_factory=list,
        validation_alias=AliasChoices("images", "image", "image_url", "image_base64"),
        description="Each an http(s) URL, a data: URI, base64, or the ID of an uploaded image.",
    )
    document: Annotated[str | None, BeforeValidator(_as_document_text)] = Field(
        None,
        min_length=1,
        description="A PDF or another file of many pages: an http(s) URL, a data: URI, base64, or "
        "the ID of an uploaded document; also as an object with `url`, `data` or `id`. A document "
        "may stand among the images as well.",
    )
    pages: Annotated[list[PageName], BeforeValidator(as_list)] = Field(
        default_factory=list,
        max_length=2000,
        description='Pages of the document, such as `"1-3,7,-1"` or `[1, 2]`; all by default. '
        "Animated images are read frame by frame only if pages are named.",
    )
    text_layer: TextLayer = Field(
        TextLayer.AUTO,
        description="Whether the text that a page brings along is taken instead of reading the "
        "page: `auto` if it says what the page shows, `only` always, `ignore` never.",
    )
    password: SecretStr | None = Field(
        None, max_length=256, description="Password of an encrypted document; it is not stored."
    )
    dpi: Dpi = Field(
        DEFAULT_DPI, description="Pixels per inch at which the pages of a PDF are drawn."
    )
    running_lines: RunningLines = Field(
        "once",
        description="How repeated headers and footers appear in the text of all pages: "
        "`once`, on every page (`keep`), or not at all (`drop`).",
    )
    sha256: Annotated[list[Sha256], BeforeValidator(as_list)] = Field(
        default_factory=list,
        max_length=MAX_FILES,
        description="SHA-256 of each image, in order, files first; verified on arrival.",
    )
    file_bytes: Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(as_list)] = Field(
        default_factory=list,
        max_length=MAX_FILES,
        validation_alias=AliasChoices("bytes", "file_bytes"),
        description="Size in bytes of each image, in order, files first; verified on arrival.",
    )

    def checksums(self, files: int) -> dict[str, UploadChecksum]:
        """Return the checksum of each image by its pointer, `files` first; raises BadParameters.

        Those of images that are named by their id are never compared.
        """
        count = files + len(self.images) + (self.document is not None)
        for name, values in (("sha256", self.sha256), ("bytes", self.file_bytes)):
            if values and len(values) != count:
                raise BadParameters(
                    f"{name} has {len(values)} values for {count} images.", pointer=f"/{name}"
                )
        pointers = [f"/images/{at}" for at in range(count)]
        if self.document is not None:
            pointers[-1] = "/document"
        return {
            pointers[at]: UploadChecksum(
                self.sha256[at] if self.sha256 else None,
                self.file_bytes[at] if self.file_bytes else None,
            )
            for at in range(count if self.sha256 or self.file_bytes else 0)
        }

    @property
    def document_parameters(self) -> list[str]:
        """Return the names of the parameters in the request that need a document."""
        named = {*DOCUMENT_NAMES, "password"} & self.model_fields_set
        return sorted(name for name in named if getattr(self, name) not in (None, []))

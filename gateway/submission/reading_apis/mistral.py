"""The request of Mistral's OCR: its document and options, checked and turned into a submission."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from flask import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.responses.reading_apis.figures import FigureOptions
from gateway.responses.reading_apis.mistral import OcrOptions
from gateway.submission.body import parse_body
from gateway.submission.chats.parameters import OwnParameters
from gateway.submission.reading_apis.annotations import Annotations, check_annotation_format
from gateway.submission.reading_apis.reading import ReadingSubmission, receive_reading
from gateway.submission.request import ReceivedRequest
from shared.errors import (
    BadParameters,
    ImageNotFound,
    PageOutOfRange,
    ServiceError,
)
from shared.excerpt import excerpt
from shared.settings import Settings

_FILE_ID = re.compile(r"file-[0-9A-F]{33}")
_PAGES = re.compile(r"\d{1,6}(-\d{1,6})?")
#: Names of Mistral's own models stand for the default model.
_FOREIGN_MODEL = re.compile(r"mistral-ocr[a-z0-9.-]*", re.IGNORECASE)
#: Our parameters of a reading that may stand beside Mistral's.
_OWN = frozenset(
    (
        *("lang", "reader", "enhance", "detail", "max_pixels", "max_new_tokens", "strict"),
        *("dpi", "text_layer", "password", "metadata", "priority", "ttl_s", "deadline_s"),
        *("webhook", "webhook_events", "wait_for_model"),
    )
)
#: Unknown members that are named.
_MOST_TOLD = 10


def _as_text(value: Any) -> Any:
    return value.get("url") if isinstance(value, dict) else value


class OcrDocument(BaseModel):
    """What is to be read: content decides whether it is a document or an image."""

    type: Literal["document_url", "image_url", "file"] | None = Field(
        None, description="Which member holds it."
    )
    document_url: str | None = Field(
        None, description="An http(s) URL, a data: URI, base64, or the ID of a document."
    )
    image_url: Annotated[str | None, BeforeValidator(_as_text)] = Field(
        None, description="The same, of an image; also as an object with `url`."
    )
    file_id: str | None = Field(None, description="The ID of a file of `/v1/files`.")
    document_name: str | None = Field(None, description="Ignored.")

    @property
    def member(self) -> str:
        """Return the name of the member that holds the document; raises BadParameters."""
        named = {"document_url": "document_url", "image_url": "image_url", "file": "file_id"}
        held = [name for name in named.values() if getattr(self, name) is not None]
        member = named[self.type] if self.type else next(iter(held), "document_url")
        if not getattr(self, member):
            raise BadParameters(f"document.{member} is missing.", pointer=f"/document/{member}")
        return member


class OcrRequest(BaseModel):
    """The body of POST /v1/ocr; also takes some of our own parameters, such as `dpi`."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(
        None,
        max_length=256,
        description="Mistral's names of OCR models, and `sightline`, are the default model.",
    )
    document: OcrDocument
    pages: (
        Annotated[str, Field(max_length=10_000)]
        | list[Annotated[int, Field(ge=0, lt=1_000_000)]]
        | None
    ) = Field(None, max_length=10_000, description='Numbers from 0, as `[0, 2]` or `"0-2,5"`.')
    table_format: Literal["markdown", "html"] | None = Field(
        None,
        description="Takes tables out of the text, where a link stands for them. Null leaves them "
        "in it, in Markdown.",
    )
    extract_header: bool | None = Field(None, description="Takes headers out of the text.")
    extract_footer: bool | None = Field(None, description="Takes footers out of the text.")
    include_image_base64: bool | None = Field(
        None,
        description="Cuts out the figures of PDF pages that have a text of their own. None are cut "
        "out of scans, with a warning.",
    )
    image_limit: int | None = Field(
        None, ge=0, lt=2**31, description="The most figures; 0 asks for none."
    )
    image_min_size: int | None = Field(
        None, ge=0, lt=2**31, description="Pixels that both sides of a figure have at least."
    )
    include_blocks: bool | None = Field(None, description="Ignored; see `boxes` of /v1/jobs.")
    confidence_scores_granularity: str | None = Field(None, description="Ignored with a warning.")
    bbox_annotation_format: dict[str, Any] | None = Field(
        None, description="The form of a text about each figure: a JSON schema."
    )
    document_annotation_format: dict[str, Any] | None = Field(
        None, description="The form of a text about the document: a JSON schema."
    )
    document_annotation_prompt: str | None = Field(
        None, max_length=100_000, description="What that text is to say."
    )

    @property
    def figure_options(self) -> FigureOptions | None:
        """Return which figures are asked for; None for none."""
        wanted = self.include_image_base64 or self.bbox_annotation_format
        if not wanted or self.image_limit == 0:
            return None
        return FigureOptions(
            bool(self.include_image_base64), self.image_limit, self.image_min_size or 0
        )

    @property
    def annotations(self) -> Annotations:
        """Return what is to be said about the document and its figures; raises BadParameters."""
        for name in ("bbox_annotation_format", "document_annotation_format"):
            check_annotation_format(name, getattr(self, name))
        if self.document_annotation_prompt and not self.document_annotation_format:
            raise BadParameters(
                "document_annotation_prompt needs document_annotation_format.",
                pointer="/document_annotation_prompt",
            )
        return Annotations(
            self.document_annotation_format,
            self.document_annotation_prompt,
            self.bbox_annotation_format if self.figure_options else None,
        )


@dataclass(frozen=True, slots=True)
class ReceivedOcr:
    """A request to read, and how it wants the answer."""

    received: ReceivedRequest[ReadingSubmission]
    options: OcrOptions
    annotations: Annotations
    #: Our own parameters.
    own: OwnParameters

    @property
    def is_more_than_text(self) -> bool:
        """Tell whether the answer has figures or annotations."""
        return self.options.figures is not None or self.annotations.document is not None


def receive_ocr(request: Request, settings: Settings) -> ReceivedOcr:
    """Parse a request of Mistral's OCR.

    Raises InvalidJson, UnsupportedMediaType, PayloadTooLarge, BadParameters, ImageNotFound.
    """
    asked = parse_body(request, OcrRequest)
    own = _pick_own(asked.model_extra or {})
    own.values["model"] = _model_name(asked.model, settings)
    _tell_ignored(asked, own)
    fields = own.values | {"images": [_content(asked.document)]}
    if asked.pages not in (None, "", []):
        fields["pages"] = list(_page_names(asked.pages))
    options = OcrOptions(
        asked.table_format,
        bool(asked.extract_header),
        bool(asked.extract_footer),
        asked.figure_options,
    )
    received = receive_reading(fields, settings)
    return ReceivedOcr(received, options, asked.annotations, own)


def _pick_own(extra: Mapping[str, Any]) -> OwnParameters:
    """Return the parameters of a reading among these; what nobody knows is ignored and noted."""
    named = {name: value for name, value in extra.items() if value is not None}
    own = OwnParameters({name: value for name, value in named.items() if name in _OWN})
    for name in itertools.islice((name for name in named if name not in _OWN), _MOST_TOLD):
        _tell_one(name, own)
    return own


def _tell_one(name: str, own: OwnParameters) -> None:
    shown = excerpt(name)
    own.tell("parameter_ignored", f"Ignored: {shown}.", f"/{shown}")


def _tell_ignored(asked: OcrRequest, own: OwnParameters) -> None:
    for name in ("include_blocks", "confidence_scores_granularity"):
        if getattr(asked, name):
            _tell_one(name, own)


def _content(document: OcrDocument) -> str:
    member = document.member
    content: str = getattr(document, member)
    if member == "file_id" and not _FILE_ID.fullmatch(content):
        raise ImageNotFound("There is no file under this ID.", pointer="/document/file_id")
    return content


def _page_names(pages: str | list[int] | None) -> Iterator[str]:
    """Yield pages that count from 0 as ours, which count from 1; raises BadParameters."""
    if isinstance(pages, list):
        yield from (str(number + 1) for number in pages)
        return
    for part in (pages or "").split(","):
        if not _PAGES.fullmatch(part.strip()):
            raise BadParameters(
                'pages: numbers from 0 and ranges such as "0-2,5" are taken.', pointer="/pages"
            )
        yield "-".join(str(int(number) + 1) for number in part.split("-"))


def _model_name(name: str | None, settings: Settings) -> str | None:
    """Return the model that a request means; None for Mistral's own without a meaning here."""
    is_named = name is not None and (name in settings.aliases or not _FOREIGN_MODEL.fullmatch(name))
    return name if is_named else None


@contextmanager
def in_terms_of_ocr() -> Iterator[None]:
    """Let errors point to the members of this request; a PageOutOfRange counts its pages."""
    try:
        yield
    except PageOutOfRange:
        raise PageOutOfRange(
            "The document does not have all of these pages.",
            pointer="/pages",
            hint="Pages count from 0 here.",
        ) from None
    except ServiceError as error:
        if error.pointer == "/images/0":
            error.pointer = "/document"
        raise

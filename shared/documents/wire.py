"""How a child's answers travel: the types of `model` as JSON and back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from shared.documents.model import (
    Box,
    DocumentInfo,
    DocumentKind,
    PageInfo,
    PageText,
    RenderedPage,
    TextDoubt,
    TextLine,
    TextWord,
)


def dump_info(info: DocumentInfo) -> bytes:
    """Return what is known of a document as JSON."""
    return json.dumps(dataclasses.asdict(info)).encode()


def load_info(body: bytes) -> DocumentInfo:
    """Return what `dump_info` wrote."""
    fields = json.loads(body)
    pages = tuple(
        PageInfo(**page | {"text_doubt": _doubt(page["text_doubt"])}) for page in fields["pages"]
    )
    return DocumentInfo(**fields | {"kind": DocumentKind(fields["kind"]), "pages": pages})


def dump_text(text: PageText) -> bytes:
    """Return a page's text as JSON."""
    return json.dumps(dataclasses.asdict(text), ensure_ascii=False).encode("utf-8", "replace")


def load_text(body: bytes) -> PageText:
    """Return what `dump_text` wrote."""
    fields = json.loads(body)
    lines = tuple(_line(line) for line in fields["lines"])
    figures = tuple(_box(sides) for sides in fields["figures"])
    doubt = _doubt(fields["doubt"])
    return PageText(**fields | {"lines": lines, "figures": figures, "doubt": doubt})


def page_header(page: RenderedPage) -> dict[str, Any]:
    """Return a picture's fields but for the picture itself."""
    fields = {field.name: getattr(page, field.name) for field in dataclasses.fields(page)}
    fields.pop("png")
    return fields


def load_page(header: dict[str, Any], png: bytes) -> RenderedPage:
    """Return the picture whose fields `page_header` gave."""
    return RenderedPage(**header | {"png": png, "warnings": tuple(header["warnings"])})


def _doubt(name: str | None) -> TextDoubt | None:
    return TextDoubt(name) if name else None


def _line(fields: dict[str, Any]) -> TextLine:
    words = tuple(TextWord(word["text"], _box(word["box"])) for word in fields["words"])
    return TextLine(fields["text"], _box(fields["box"]), words, fields["rotation"])


def _box(sides: list[float]) -> Box:
    x0, y0, x1, y1 = sides
    return x0, y0, x1, y1

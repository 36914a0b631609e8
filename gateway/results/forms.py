"""The forms that a result can have, and which of them a request accepts."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class ResultForm(StrEnum):
    """A form of a result, as `?format=` names it."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"
    HTML = "html"
    CSV = "csv"
    XLSX = "xlsx"
    DOCX = "docx"
    PDF = "pdf"
    HOCR = "hocr"

    @property
    def media_type(self) -> str:
        """Return its media type without parameters."""
        return _MEDIA_TYPES[self]

    @property
    def suffix(self) -> str:
        """Return the ending of its files, without a dot."""
        return {ResultForm.TEXT: "txt", ResultForm.MARKDOWN: "md"}.get(self, self.value)

    @property
    def is_file(self) -> bool:
        """Tell whether browsers save it instead of showing it."""
        return self in (ResultForm.CSV, ResultForm.XLSX, ResultForm.DOCX, *_PLACED)

    @property
    def needs_places(self) -> bool:
        """Tell whether it shows where the text stands."""
        return self in _PLACED


_PLACED = (ResultForm.PDF, ResultForm.HOCR)
_OFFICE = "application/vnd.openxmlformats-officedocument"
_MEDIA_TYPES = {
    ResultForm.TEXT: "text/plain",
    ResultForm.MARKDOWN: "text/markdown",
    ResultForm.JSON: "application/json",
    ResultForm.HTML: "text/html",
    ResultForm.CSV: "text/csv",
    ResultForm.XLSX: f"{_OFFICE}.spreadsheetml.sheet",
    ResultForm.DOCX: f"{_OFFICE}.wordprocessingml.document",
    ResultForm.PDF: "application/pdf",
    ResultForm.HOCR: "text/vnd.hocr+html",
}
MEDIA_TYPES = tuple(_MEDIA_TYPES.values())


def choose_form(
    ranges: Iterable[tuple[str, float]], *, has_places: bool = True
) -> ResultForm | None:
    """Return the form that an Accept header, parsed to ranges and their q, asks for most.

    Of two that it asks for alike the one that it names more exactly counts, then the first of
    ours. Plain text where it names no range; None where it accepts none of ours, of which a result
    without places has fewer.
    """
    listed = list(ranges)
    if not listed:
        return ResultForm.TEXT
    rated = [
        (*_rate(form.media_type, listed), form)
        for form in ResultForm
        if has_places or not form.needs_places
    ]
    quality, _, form = max(rated, key=lambda entry: entry[:2])
    return form if quality > 0 else None


def _rate(media_type: str, ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """Return the q of the most exact range that covers a type, and how exact that is."""
    exactness, quality = -1, 0.0
    for name, q in ranges:
        exact = _exactness(media_type, name.partition(";")[0].strip().lower())
        if exact > exactness:
            exactness, quality = exact, q
    return quality, exactness


def _exactness(media_type: str, media_range: str) -> int:
    """Return 2 for the type itself, 1 for its kind, 0 for any type, -1 for another."""
    if media_range == media_type:
        return 2
    if media_range == media_type.partition("/")[0] + "/*":
        return 1
    return 0 if media_range == "*/*" else -1

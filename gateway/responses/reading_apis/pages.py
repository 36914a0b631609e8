"""The pages that a job has read; an image is one page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shared.jobs.document import PageSource, unread_mark
from shared.jobs.row import JobRow


@dataclass(frozen=True, slots=True)
class ReadPage:
    """A page and its text; a mark stands for what could not be read."""

    #: From 1.
    number: int
    text: str
    #: The model wrote the text, so that tables in it are marked as such.
    has_markup: bool
    #: Lines that other pages have as well.
    header: str | None = None
    footer: str | None = None

    def without(self, *, header: bool, footer: bool) -> str:
        """Return the text without its header, its footer, or both."""
        lines = self.text.split("\n")
        for line in (self.header or "").split("\n") if header and self.header else ():
            _remove_first(lines, line)
        lines.reverse()
        for line in reversed((self.footer or "").split("\n") if footer and self.footer else ()):
            _remove_first(lines, line)
        lines.reverse()
        return "\n".join(lines).strip("\n")


def _remove_first(lines: list[str], line: str) -> None:
    place = next((n for n, one in enumerate(lines) if one.strip() == line.strip()), None)
    if place is not None:
        del lines[place]


def read_pages(row: JobRow) -> Iterator[ReadPage]:
    """Yield the pages of a job that has an output, in their order."""
    output = row.output or {}
    if output.get("pages") is None:
        yield ReadPage(1, output.get("text", ""), has_markup=True)
        return
    for page in output["pages"]:
        yield _read_page(page)


def _read_page(page: dict[str, Any]) -> ReadPage:
    number = int(page["page"])
    if page.get("gap"):
        return ReadPage(number, unread_mark(number), has_markup=False)
    return ReadPage(
        number,
        page.get("text") or "",
        has_markup=page.get("source") == PageSource.MODEL.value,
        header=page.get("header"),
        footer=page.get("footer"),
    )

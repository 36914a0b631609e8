"""The document of a job: which of its pages are read, and what each of them gave."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from shared.jobs.parameters.generation import Frozen

MIN_DPI, MAX_DPI = 50, 400
#: Letters of 8 points have the height then that models read well.
DEFAULT_DPI = 150
Dpi = Annotated[int, Field(ge=MIN_DPI, le=MAX_DPI)]

#: What becomes of lines that stand at the top or bottom of many pages, in the text of all pages:
#: each appears once, on every page, or not at all.
RunningLines = Literal["once", "keep", "drop"]


class TextLayer(StrEnum):
    """Whether a page's own text stands for its picture."""

    #: Where it says what the page shows; other pages are read.
    AUTO = "auto"
    #: Always; the model sees no page.
    ONLY = "only"
    #: Never; every page is read.
    IGNORE = "ignore"


class PageSource(StrEnum):
    """Where the text of a page comes from."""

    TEXT_LAYER = "text_layer"
    MODEL = "model"
    #: The page shows nothing.
    BLANK = "blank"


class DocumentInput(Frozen):
    """The document of a job and the pages of it that are read; of a child, its one page."""

    #: Document id `doc_<sha256>`.
    id: str
    kind: str
    #: The file's name, as its sender gave it.
    name: str | None = None
    #: Pages of the whole document.
    page_count: int
    #: Numbers from 1 of the pages that are read, in this order.
    pages: tuple[int, ...]
    text_layer: TextLayer = TextLayer.AUTO
    #: Pixels per inch at which pages of a PDF are drawn.
    dpi: Dpi = DEFAULT_DPI
    #: A page with more pixels than the budget is read in tiles.
    cut: bool = True
    running_lines: RunningLines = "once"

    def with_page(self, number: int) -> DocumentInput:
        """Return the same document with one page alone."""
        return self.model_copy(update={"pages": (number,)})


def unread_mark(number: int) -> str:
    """Return the line that stands for a page that could not be read."""
    return f"[unread: page {number}]"

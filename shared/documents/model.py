"""What is known of a document and of its pages.

Boxes are x0, y0, x1, y1 with the origin at the top left of the upright page, in points of 1/72 inch
for a PDF and in pixels for pages that are pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Box = tuple[float, float, float, float]


class DocumentKind(StrEnum):
    """The format of a document, by its content."""

    PDF = "pdf"
    TIFF = "tiff"
    GIF = "gif"
    WEBP = "webp"
    APNG = "apng"


class TextDoubt(StrEnum):
    """Why the text layer of a page is not trusted, so that the page should be read instead."""

    #: There is none, or nothing but spaces.
    NO_TEXT = "no_text"
    #: Characters without a meaning: U+FFFD, private use, control characters.
    UNMAPPED = "unmapped_characters"
    #: More characters than the page has room for.
    IMPLAUSIBLE = "implausible_text"
    #: Text that does not show: invisible, white, covered, clipped or beyond the page's edge.
    HIDDEN = "hidden_text"
    #: Ink that looks like writing and that no character covers.
    INK_OUTSIDE = "ink_outside_text"
    #: The page cannot be loaded.
    DAMAGED = "page_damaged"
    #: The page is too large to be rendered.
    TOO_LARGE = "page_too_large"
    #: It was not looked at, as the time for the whole document was up.
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class PageInfo:
    """One page, as seen without rendering it; `DocumentReader.page_text` looks closer."""

    #: From 1.
    number: int
    #: Size of the upright page.
    width: float
    height: float
    #: Degrees clockwise by which the file asks for the page to be turned: 0, 90, 180 or 270.
    rotation: int = 0
    #: Characters of the text layer without spaces; None if they were not counted.
    text_characters: int | None = 0
    #: The text layer passed what can be checked without rendering.
    text_trusted: bool = False
    text_doubt: TextDoubt | None = TextDoubt.NO_TEXT
    #: Nothing is drawn on it; None if that is not known before it is rendered.
    blank: bool | None = None


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document and all of its pages."""

    kind: DocumentKind
    pages: tuple[PageInfo, ...]
    #: It needs a password, which was given.
    encrypted: bool = False
    title: str | None = None
    #: Its end or its table of objects is missing: pages and parts of pages may be lost.
    repaired: bool = False
    #: Files inside of it, which are not read.
    attachments: int = 0
    #: The names of the first of them.
    attached_names: tuple[str, ...] = ()
    #: Its pages are only the cover of these files.
    portfolio: bool = False
    #: A program makes its pages (XFA), which is not run.
    dynamic_form: bool = False


@dataclass(frozen=True, slots=True)
class TextWord:
    """One word of a line and its box."""

    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of a text layer."""

    text: str
    box: Box
    words: tuple[TextWord, ...] = ()
    #: Degrees clockwise that the line is turned on the upright page: 0, 90, 180 or 270.
    rotation: int = 0


@dataclass(frozen=True, slots=True)
class PageText:
    """The text layer of a page, in reading order, and whether it says what the page shows."""

    #: Lines end with a newline; an empty line parts blocks.
    text: str
    lines: tuple[TextLine, ...]
    trusted: bool
    doubt: TextDoubt | None
    #: Share of the ink that looks like writing and that no character covers, 0 to 1.
    ink_outside: float
    #: Pictures and drawings beside the text.
    figures: tuple[Box, ...] = ()
    #: The page shows nothing.
    blank: bool = False
    #: Characters whose font is neither in the file nor here: they are in no picture of the page.
    fontless: int = 0


@dataclass(frozen=True, slots=True)
class PageFigure:
    """A picture or drawing that was cut out of a page."""

    #: Pixels of the page's picture: left, top, right and bottom.
    box: tuple[int, int, int, int]
    jpeg: bytes
    #: The line of the page's text behind which it stands; empty where it comes first.
    behind: str


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """The picture of a page, upright."""

    #: 8-bit RGB.
    png: bytes
    width: int
    height: int
    #: Pixels per inch after all limits; None for pages that are pictures.
    dpi: float | None
    #: Degrees clockwise by which it was turned because its content lay on its side: 0 to 270.
    turned: int
    #: Nothing is on it but noise and specks.
    blank: bool
    #: What was done to it, as `{"code": …, "detail": …}`.
    warnings: tuple[dict[str, str], ...] = ()

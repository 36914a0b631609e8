"""The pictures on the pages of a document that was read: cut out, and linked in the text."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.large_input import give_way
from gateway.services import Services
from shared.documents.model import DocumentKind, PageFigure
from shared.errors import DocumentError, ResultTooLarge
from shared.jobs.row import JobRow
from shared.prediction.page_size import MAX_PAGE_PIXELS

#: Of one answer, if the request names no bound; and bytes of their files.
_MOST, _MOST_BYTES = 1000, 64 << 20


@dataclass(frozen=True, slots=True)
class FigureOptions:
    """Which figures an answer has."""

    #: Whether their pictures are in the answer.
    with_pictures: bool = False
    limit: int | None = None
    #: Pixels of both sides at least.
    least_side: int = 0


@dataclass(frozen=True, slots=True)
class NamedFigure:
    """A figure and its name, which is also its link in the text."""

    name: str
    figure: PageFigure

    @property
    def data_url(self) -> str:
        """Return its picture."""
        return "data:image/jpeg;base64," + base64.b64encode(self.figure.jpeg).decode()


@dataclass(slots=True)
class Figures:
    """The figures of a document by their pages, and what was not found out about them."""

    pages: dict[int, list[NamedFigure]] = field(default_factory=lambda: defaultdict(list))
    #: Pages that are pictures as a whole, or whose text cannot be trusted.
    unknown: list[int] = field(default_factory=list)
    left_out: bool = False

    def named(self) -> Iterator[NamedFigure]:
        """Yield all figures in their order."""
        for number in sorted(self.pages):
            yield from self.pages[number]

    def notices(self) -> list[dict[str, str]]:
        """Return what the caller should know."""
        notices = []
        if self.unknown:
            detail = (
                f"No figures are cut out of {_pages(len(self.unknown))} that are pictures as a "
                "whole."
            )
            notices.append({"code": "images_not_extracted", "detail": detail})
        if self.left_out:
            detail = f"Only the first {_MOST} figures are cut out."
            notices.append({"code": "images_not_extracted", "detail": detail})
        return notices


def _pages(count: int) -> str:
    return "1 page" if count == 1 else f"{count} pages"


def find_figures(row: JobRow, services: Services, options: FigureOptions) -> Figures:
    """Cut out the figures of the pages that a job reads.

    Raises StoreUnavailable, Unavailable and ResultTooLarge.
    """
    figures, document = Figures(), row.input.document
    if document is None or document.kind != DocumentKind.PDF:
        figures.unknown += document.pages if document else [1]
        return figures
    most = _MOST if options.limit is None else options.limit
    count = size = 0
    for number in document.pages:
        give_way()
        cut = _cut_page(row, services, number)
        if cut is None:
            figures.unknown.append(number)
        for figure in cut or ():
            if not _is_large(figure, options.least_side):
                continue
            if count == most:
                figures.left_out = options.limit is None
                return figures
            size += len(figure.jpeg)
            if size > _MOST_BYTES:
                raise ResultTooLarge(
                    "The figures of the document are too large for one answer.",
                    hint="Name fewer pages, an image_limit or an image_min_size.",
                )
            figures.pages[number].append(NamedFigure(f"img-{count}.jpeg", figure))
            count += 1
    return figures


def _cut_page(row: JobRow, services: Services, number: int) -> list[PageFigure] | None:
    """Return the figures of a page; None where they cannot be told."""
    document = row.input.document
    if document is None or document.dpi is None:
        return None
    file = services.document_files.get(row.tenant, document.id)
    if file is None:
        return None
    try:
        return services.document_reader.figures(
            file, number, document.dpi, MAX_PAGE_PIXELS, tenant=row.tenant
        )
    except DocumentError:
        # why its page cannot be read is told with the page
        return None


def _is_large(figure: PageFigure, least_side: int) -> bool:
    left, top, right, bottom = figure.box
    return min(right - left, bottom - top) >= least_side


def link_figures(text: str, figures: Sequence[NamedFigure]) -> str:
    """Return a text of Markdown with a link behind the line that each figure follows."""
    lines = text.split("\n")
    links: Mapping[int, list[str]] = defaultdict(list)
    for one in figures:
        links[_place(lines, one.figure.behind)].append(f"![{one.name}]({one.name})")
    linked = ["\n\n".join(links[-1]) + "\n"] if -1 in links else []
    for at, line in enumerate(lines):
        linked.append(line)
        if at in links:
            linked += ["", "\n\n".join(links[at]), ""]
    return "\n".join(linked).strip("\n")


def _place(lines: Sequence[str], behind: str) -> int:
    """Return the number of a line; -1 for what comes first, the last one if it is not there."""
    words = behind.split()
    if not words:
        return -1
    same = (at for at, line in enumerate(lines) if line.split() == words)
    return next(same, len(lines) - 1)


def figure_view(one: NamedFigure, options: FigureOptions, annotation: str | None) -> dict[str, Any]:
    """Return a figure as Mistral's answers show it."""
    left, top, right, bottom = one.figure.box
    return {
        "id": one.name,
        "top_left_x": left,
        "top_left_y": top,
        "bottom_right_x": right,
        "bottom_right_y": bottom,
        "image_base64": one.data_url if options.with_pictures else None,
        "image_annotation": annotation,
    }

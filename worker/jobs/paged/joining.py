"""Joins the texts of pages: in order, headers once, and a table that goes on stays one table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from shared.jobs.document import RunningLines as Handling
from shared.jobs.document import unread_mark
from worker.jobs.paged.running_lines import REACH, PageLines, find_running_lines
from worker.tiling import tables

#: Pages on either side that decide what a page adds to the text.
AROUND = REACH


@dataclass(frozen=True, slots=True)
class Seam:
    """What the next page must know of the text before it."""

    started: bool = False
    #: Columns of the table with which it ends, and the header of that.
    columns: int = 0
    header: str = ""

    @classmethod
    def parse(cls, text: str) -> Seam:
        """Return a seam from what `dump` made of it; "" begins a text."""
        return cls(**json.loads(text)) if text else cls()

    def dump(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def join_pages(
    pages: Sequence[PageLines | None],
    numbers: Sequence[int],
    first: int,
    last: int,
    handling: Handling,
    seam: Seam,
) -> tuple[list[str], Seam]:
    """Return what the pages from `first` up to `last`, that excluded, add to the text.

    `pages` holds some pages before `first` and behind `last` too, as far as there are any. The
    pieces together, from the first page to the last one, are the text of all pages.
    """
    pieces = []
    for at in range(first, last):
        piece, seam = _add_page(seam, _body(pages, numbers[at], at, handling))
        pieces.append(piece)
    return pieces, seam


def _body(pages: Sequence[PageLines | None], number: int, at: int, handling: Handling) -> list[str]:
    """Return the lines of a page that stand in the text of all pages."""
    page = pages[at]
    if page is None:
        return [unread_mark(number)]
    left_out: set[int] = set()
    if handling != "keep":
        running = find_running_lines(pages, at)
        # the first page of several shows the header, the last one the footer: no table is parted
        left_out |= {line.place for line in running.header if handling == "drop" or line.before}
        left_out |= {line.place for line in running.footer if handling == "drop" or line.after}
    lines = [line for place, line in enumerate(page.lines) if place not in left_out]
    return "\n".join(lines).strip("\n").split("\n") if any(map(str.strip, lines)) else []


def _add_page(seam: Seam, body: list[str]) -> tuple[str, Seam]:
    if not body:
        return "", seam
    goes_on = bool(
        seam.columns and tables.is_row(body[0]) and tables.count_columns(body[0]) == seam.columns
    )
    if goes_on:
        body = tables.continue_table(_end_of_table(seam), body)
        if not body:
            return "", seam
    separator = ("\n" if goes_on else "\n\n") if seam.started else ""
    return separator + "\n".join(body), _seam_behind(body, seam if goes_on else Seam())


def _end_of_table(seam: Seam) -> list[str]:
    """Return lines that end as the text before the seam does."""
    row = "|" + "x|" * seam.columns
    return [seam.header, "|" + "---|" * seam.columns, row] if seam.header else [row]


def _seam_behind(body: Sequence[str], before: Seam) -> Seam:
    """Return the seam behind the lines of a page; `before` has the table that they go on with."""
    if not tables.is_row(body[-1]):
        return Seam(started=True)
    columns = tables.count_columns(body[-1])
    header = tables.find_header(body)
    if header is None and all(map(tables.is_row, body)) and columns == before.columns:
        return Seam(True, columns, before.header)
    return Seam(True, columns, header or "")

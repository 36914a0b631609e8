"""Headers and footers: lines at the top or bottom of a page that the pages around it have as well.

Only pages within `REACH` are compared, so that this is settled while a document is still read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from worker.tiling.likeness import likeness
from worker.tiling.tables import is_row

#: Pages to each side that are compared: left and right pages may differ.
REACH = 2
#: Lines that a header or a footer may have. Pages that share more are copies of each other.
_MOST = 5
#: Letters from which a line says something by itself, and likeness of two readings of it.
_WORDS, _ALIKE = 3, 0.9
#: Characters of a header or footer.
_LONGEST = 300
_NUMBER = re.compile(r"\d+")
_SPACE = re.compile(r"\s+")
#: How an entry of the text itself begins, with `#` for a number: one on top of each page may count.
_ENTRY = re.compile(
    r"[(\[（【]?#(?:\.#)*[.)\]）】、:：](?!#)"
    r"|(?:chapter|section|part|article|clause|paragraph|question|q|item|step|case|sample|exercise"
    r"|problem|lesson|figure|fig|table|exhibit|appendix|annex|invoice|order|no|nr|kapitel"
    r"|abschnitt|artikel|frage|punkt|aufgabe|chapitre|cap[ií]tulo|secci[óo]n|pregunta|§)\.?\s?#"
    r"|第\s?#\s?[章节節条條款题題项項部分回课課]|[图圖表题題附]\s?#"
)


@dataclass(frozen=True, slots=True)
class PageLines:
    """The lines of one page, without empty ones at its top and bottom."""

    number: int
    lines: tuple[str, ...]

    @classmethod
    def of(cls, number: int, text: str) -> PageLines:
        """Return the lines of a page's text."""
        return cls(number, tuple(text.strip("\n").split("\n")) if text.strip() else ())


@dataclass(frozen=True, slots=True)
class RunningLine:
    """A line of a header or footer."""

    #: Its place in the lines of the page.
    place: int
    #: A page before, or behind, has it as well.
    before: bool
    after: bool


@dataclass(frozen=True, slots=True)
class RunningLines:
    """The header and the footer of a page, from the top down."""

    header: tuple[RunningLine, ...] = ()
    footer: tuple[RunningLine, ...] = ()


def find_running_lines(pages: Sequence[PageLines | None], at: int) -> RunningLines:
    """Return header and footer of page `at`; None stands for a page that could not be read."""
    page = pages[at]
    if page is None:
        return RunningLines()
    near = range(max(0, at - REACH), min(len(pages), at + REACH + 1))
    before = [other for n in near if n < at and (other := pages[n])]
    after = [other for n in near if n > at and (other := pages[n])]
    header = _find_at_edge(page, before, after, from_bottom=False)
    footer = _find_at_edge(page, before, after, from_bottom=True)
    shown = {line.place for line in header}
    rest = [line for line in reversed(footer) if line.place not in shown]
    return RunningLines(tuple(header), tuple(rest))


def _edge(page: PageLines, *, from_bottom: bool) -> list[int]:
    """Return the places of the lines at one edge that are not empty, the outermost first."""
    places = range(len(page.lines))
    outermost = reversed(places) if from_bottom else places
    filled = (place for place in outermost if page.lines[place].strip())
    return list(islice(filled, _MOST + 2))


def _find_at_edge(
    page: PageLines, before: Sequence[PageLines], after: Sequence[PageLines], *, from_bottom: bool
) -> list[RunningLine]:
    running: list[RunningLine] = []
    for depth, place in enumerate(_edge(page, from_bottom=from_bottom)[: _MOST + 1]):
        text = page.lines[place]
        line = RunningLine(
            place,
            *(
                any(
                    _is_same(text, near, other.number - page.number)
                    for other in others
                    for near in _lines_near(other, depth, from_bottom=from_bottom)
                )
                for others in (before, after)
            ),
        )
        if not (line.before or line.after):
            break
        running.append(line)
    return running if len(running) <= _MOST else []


def _lines_near(page: PageLines, depth: int, *, from_bottom: bool) -> list[str]:
    """Return the lines of a page at this depth and next to it: one may be missing here or there."""
    places = _edge(page, from_bottom=from_bottom)[max(0, depth - 1) : depth + 2]
    return [page.lines[place] for place in places]


def _is_same(line: str, other: str, apart: int) -> bool:
    """Tell whether two lines are the same but for page numbers that are `apart` pages apart."""
    if is_row(line) or is_row(other) or max(len(line), len(other)) > _LONGEST:
        return False
    one, two = _flatten(line), _flatten(other)
    words, words_of_other = _NUMBER.sub("#", one), _NUMBER.sub("#", two)
    counts, counts_of_other = _NUMBER.findall(one), _NUMBER.findall(two)
    if len(counts) != len(counts_of_other):
        return False
    steps = [int(b[:9]) - int(a[:9]) for a, b in zip(counts, counts_of_other, strict=True)]
    if any(step not in (0, apart) for step in steps):
        return False
    if apart in steps and _ENTRY.match(words):
        return False
    if sum(char.isalpha() for char in words) < _WORDS:
        # what is little more than a number is a page number only if it counts
        return words == words_of_other and apart in steps
    return words == words_of_other or likeness(words, words_of_other) >= _ALIKE


def _flatten(line: str) -> str:
    return _SPACE.sub(" ", line.strip()).casefold()

"""Finds labels among the words that were seen on images and pages, each place to the letter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from shared.jobs.answers.find import MOST_ON_SHEET, FoundObject, SearchTerms
from shared.jobs.answers.lines import Corners, TextLine, box_around
from worker.evidence.candidates import (
    can_be_misread,
    find_letters,
    find_most_alike,
    whole_words,
)
from worker.evidence.plain_text import is_cjk, plain_letters
from worker.evidence.sheet_text import SheetText, sheets_of
from worker.objects.hyphens import find_broken
from worker.objects.parts import TextPart, cut_parts, follow
from worker.places.geometry import round_box, round_corners

#: Stands for letters that are taken; no label has it.
_TAKEN = "\0"
#: Times that one sheet is gone through for texts that are much like a label.
_TRIES = 50
#: Digits of a confidence that mean something.
_DIGITS = 4


def find_in_text(
    terms: SearchTerms, lines: Sequence[TextLine], digits: int = 0
) -> list[FoundObject]:
    """Return every place where a label stands in lines that have the places of their words.

    Sheet by sheet, label by label, as the text is read; of a label on a sheet no more than one
    beyond `MOST_ON_SHEET`. Boxes have so many digits behind the point.
    """
    return [
        _object(label, sheet, parts, likeness, digits)
        for sheet in sheets_of(lines)
        for label in terms.labels
        for parts, likeness in islice(
            _find_label(label, sheet, fuzzy=terms.fuzzy), MOST_ON_SHEET + 1
        )
    ]


def _find_label(
    label: str, sheet: SheetText, *, fuzzy: bool
) -> Iterator[tuple[list[TextPart], float]]:
    """Yield the parts of each place of a label, and how much that is like it."""
    letters, text, last = plain_letters(label), sheet.letters, 0
    for start, stop in sorted({*find_letters(letters, sheet), *find_broken(letters, sheet)}):
        # in a row of equal letters places would overlap
        if start < last:
            continue
        parts = cut_parts(sheet, start, stop)
        if follow(sheet, parts):
            last = stop
            text = text[:start] + _TAKEN * (stop - start) + text[stop:]
            yield parts, 1.0
    if fuzzy and can_be_misread(letters):
        yield from _find_alike(letters, text, sheet)


def _find_alike(
    letters: str, text: str, sheet: SheetText
) -> Iterator[tuple[list[TextPart], float]]:
    """Yield what is much like plain letters among those of a sheet that are not taken."""
    for _ in range(_TRIES):
        place = find_most_alike(letters, text)
        if place is None:
            return
        start, stop = place
        candidate = whole_words(letters, sheet, start, stop)
        if candidate is not None:
            first, behind = sheet.letters_of(candidate.span)
            parts = cut_parts(sheet, first, behind)
            if _TAKEN not in text[first:behind] and follow(sheet, parts):
                start, stop = first, behind
                yield parts, candidate.likeness
        text = text[:start] + _TAKEN * (stop - start) + text[stop:]


def _object(
    label: str, sheet: SheetText, parts: Sequence[TextPart], likeness: float, digits: int
) -> FoundObject:
    corners = [part.corners for part in parts]
    box = round_box(box_around([corner for part in corners for corner in part]), digits)
    slanted = [round_corners(part, digits) for part in corners]
    return FoundObject(
        label=label,
        box=box,
        polygon=slanted[0] if len(slanted) == 1 and not _is_upright(slanted[0]) else None,
        parts=tuple(slanted) if len(slanted) > 1 else (),
        text=_join(part.text for part in parts),
        image=sheet.image,
        page=sheet.page,
        confidence=round(min(part.confidence for part in parts) * likeness, _DIGITS),
        source="reader",
    )


def _join(texts: Iterable[str]) -> str:
    """Return the text of several lines with blanks between them, but for Chinese."""
    whole = ""
    for text in texts:
        is_apart = whole and text and not (is_cjk(whole[-1]) and is_cjk(text[0]))
        whole += f" {text}" if is_apart else text
    return whole


def _is_upright(corners: Corners) -> bool:
    """Tell whether corners are those of a box whose text runs from left to right."""
    left, top, right, bottom = box_around(corners)
    return corners == ((left, top), (right, top), (right, bottom), (left, bottom))

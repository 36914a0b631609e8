"""Finds words that the end of a line breaks with a hyphen."""

from __future__ import annotations

from collections.abc import Iterator

from worker.evidence.candidates import is_whole
from worker.evidence.sheet_text import SheetText

_HYPHENS = "-\u00ad"


def find_broken(letters: str, sheet: SheetText) -> Iterator[tuple[int, int]]:
    """Yield where plain letters stand that a hyphen breaks: the first, and behind the last."""
    hyphens = _line_ends(sheet)
    if not hyphens or not letters:
        return
    kept = [at for at in range(len(sheet.letters)) if at not in hyphens]
    text, at = "".join(sheet.letters[one] for one in kept), -1
    while (at := text.find(letters, at + 1)) >= 0:
        start, stop = kept[at], kept[at + len(letters) - 1] + 1
        if stop - start > len(letters) and is_whole(sheet, start, stop):
            yield start, stop


def _line_ends(sheet: SheetText) -> set[int]:
    """Return the hyphens behind a letter at the ends of lines."""
    ends = [
        sheet.first_letters[stop] - 1
        for _, stop in sheet.line_words.values()
        if stop < len(sheet.words)
    ]
    text = sheet.letters
    return {at for at in ends if at > 0 and text[at] in _HYPHENS and text[at - 1].isalpha()}

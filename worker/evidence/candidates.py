"""The places where a value may stand: the same letters, the same number or the same day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from rapidfuzz import fuzz

from worker.evidence.dates import Day, read_date
from worker.evidence.numbers import read_value
from worker.evidence.plain_text import is_cjk, plain_letters
from worker.evidence.sheet_text import SheetText, Span

#: Of a number or a day that is printed otherwise than the answer has it.
_OTHERWISE = 0.97
#: Likeness in percent of a text that was misread, by whomever, and its least length.
_ALIKE, _LEAST_CHARS = 84.0, 5
#: Blanks within a number, in heights of its digits.
_CLOSE = 0.6
#: Letters that look like digits.
_LIKE_DIGITS = str.maketrans("oil|", "0111")
#: Places of one value that are looked at.
_MOST = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """Words that may be a value."""

    span: Span
    #: How much they are like it, 0 to 1.
    likeness: float


def find_candidates(value: object, sheets: Sequence[SheetText]) -> list[Candidate]:
    """Return all places where a value is printed, those with its very letters first."""
    by_span: dict[Span, Candidate] = {}
    for candidate in _all_candidates(value, sheets):
        if len(by_span) >= _MOST:
            break
        by_span.setdefault(candidate.span, candidate)
    return list(by_span.values())


def _all_candidates(value: object, sheets: Sequence[SheetText]) -> Iterator[Candidate]:
    if isinstance(value, str):
        letters = plain_letters(value).strip(".,;:")
        for sheet in sheets:
            for start, stop in find_letters(letters, sheet):
                yield Candidate(_span(sheet, start, stop), 1.0)
    if numbers := read_value(value):
        for sheet in sheets:
            yield from _find_number(numbers, sheet)
    if days := read_date(value):
        for sheet in sheets:
            yield from _find_day(days, sheet)


def find_letters(letters: str, sheet: SheetText) -> Iterator[tuple[int, int]]:
    """Yield where plain letters stand as whole words: the first of the sheet's, and behind them."""
    text, at = sheet.letters, -1
    while letters and (at := text.find(letters, at + 1)) >= 0:
        stop = at + len(letters)
        if is_whole(sheet, at, stop):
            yield at, stop


def is_whole(sheet: SheetText, start: int, stop: int) -> bool:
    """Tell whether letters are no part of a longer word or number."""
    text, owners = sheet.letters, sheet.owners
    begins = start == 0 or owners[start - 1] != owners[start]
    ends = stop == len(text) or owners[stop - 1] != owners[stop]
    return (begins or _parts(text, start, -1)) and (ends or _parts(text, stop - 1, 1))


def _parts(text: str, at: int, step: int) -> bool:
    """Tell whether a word or number ends at a letter, towards what stands beside it."""
    edge, beside = text[at], text[at + step]
    if is_cjk(edge) or is_cjk(beside):
        return True
    if edge.isalnum() and beside.isalnum():
        return False
    further = at + 2 * step
    goes_on = 0 <= further < len(text) and text[further].isdigit()
    # 12.50 is neither 12 nor 50, and -12 is not 12
    if edge.isdigit() and (beside in "+-" or goes_on):
        return beside not in ".,'+-/:" and not beside.isdigit()
    return True


def _find_number(numbers: frozenset[Decimal], sheet: SheetText) -> Iterator[Candidate]:
    for span, values in sheet.numbers:
        if not numbers.isdisjoint(values) and _is_close(sheet, span):
            yield Candidate(span, _OTHERWISE)


def _is_close(sheet: SheetText, span: Span) -> bool:
    """Tell whether words stand as close together as parts of one number."""
    return all(
        after.box[0] - before.box[2] <= _CLOSE * (before.box[3] - before.box[1])
        for before, after in pairwise(sheet.words[span.first : span.stop])
    )


def _find_day(days: frozenset[Day], sheet: SheetText) -> Iterator[Candidate]:
    for span, printed in sheet.days:
        if not days.isdisjoint(printed):
            yield Candidate(span, _OTHERWISE)


def find_alike(value: object, sheets: Sequence[SheetText]) -> Candidate | None:
    """Return the place of the text that is most like a value; None where nothing is.

    Its digits are the same: another number is another value.
    """
    letters = plain_letters(value) if isinstance(value, str) else ""
    if not can_be_misread(letters):
        return None
    best: Candidate | None = None
    for sheet in sheets:
        place = find_most_alike(letters, sheet.letters)
        candidate = whole_words(letters, sheet, *place) if place else None
        if candidate and (best is None or candidate.likeness > best.likeness):
            best = candidate
    return best


def can_be_misread(letters: str) -> bool:
    """Tell whether plain letters are enough of a text to be known again when some are wrong."""
    return len(letters) >= _LEAST_CHARS and any(map(str.isalpha, letters))


def find_most_alike(letters: str, text: str) -> tuple[int, int] | None:
    """Return from where to where a text is most like plain letters; None where nothing is."""
    if len(text) < len(letters) // 2:
        return None
    place = fuzz.partial_ratio_alignment(letters, text, score_cutoff=_ALIKE)
    if place is None or place.dest_end <= place.dest_start:
        return None
    return place.dest_start, place.dest_end


def whole_words(letters: str, sheet: SheetText, start: int, stop: int) -> Candidate | None:
    """Return the words at some letters of a sheet; None where they are not much like others."""
    span = _covered(sheet, start, stop)
    likeness = _likeness(letters, sheet, span)
    return Candidate(span, likeness) if likeness else None


def _covered(sheet: SheetText, start: int, stop: int) -> Span:
    """Return the words of which at least half lies between two letters, or all that touch it."""
    letters = Counter(sheet.owners[start:stop])
    words = [word for word, count in letters.items() if 2 * count >= len(sheet.plains[word])]
    words = words or list(letters)
    return Span(sheet.number, words[0], words[-1] + 1)


def _likeness(letters: str, sheet: SheetText, span: Span) -> float:
    """Return how much whole words are like a value, 0 where they are not."""
    printed = "".join(sheet.plains[span.first : span.stop])
    score = fuzz.ratio(letters, printed, score_cutoff=_ALIKE)
    return score / 100 if _has_same_digits(letters, printed) else 0.0


def _has_same_digits(one: str, other: str) -> bool:
    """Tell whether two texts have the same digits, some of them read as letters."""
    if _digits(one) == _digits(other):
        return True
    return _digits(one.translate(_LIKE_DIGITS)) == _digits(other.translate(_LIKE_DIGITS))


def _digits(text: str) -> list[str]:
    return [char for char in text if char.isdigit()]


def _span(sheet: SheetText, start: int, stop: int) -> Span:
    return Span(sheet.number, sheet.owners[start], sheet.owners[stop - 1] + 1)

"""Dates as they are printed: what days a printed date may mean."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from worker.evidence.plain_text import narrow

Day = dt.date

_MONTHS = (
    ("jan", "janv", "janner"),
    ("feb", "fev"),
    ("mar", "mars", "marz"),
    ("apr", "avr"),
    ("may", "mai"),
    ("jun", "juin"),
    ("jul", "juil"),
    ("aug", "aou"),
    ("sep", "sept"),
    ("oct", "okt"),
    ("nov",),
    ("dec", "dez"),
)
_NAMED = {name: number for number, names in enumerate(_MONTHS, start=1) for name in names}
_WORD = r"[A-Za-zäéûÄ]{3,12}\.?"
_SIGN = r"\s?[-./]\s?"
_FORMS = (
    re.compile(rf"(?<!\d)(?P<y>\d{{4}}){_SIGN}(?P<m>\d{{1,2}}){_SIGN}(?P<d>\d{{1,2}})(?!\d)"),
    re.compile(r"(?<!\d)(?P<y>\d{4})\s?年\s?(?P<m>\d{1,2})\s?月\s?(?P<d>\d{1,2})\s?[日号]"),
    re.compile(
        rf"(?<!\d)(?P<a>\d{{1,2}}){_SIGN}(?P<b>\d{{1,2}}){_SIGN}(?P<y>\d{{4}}|\d{{2}})(?!\d)"
    ),
    re.compile(
        rf"(?<!\d)(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)?(?:\s?of)?[\s-]*(?P<n>{_WORD})"
        r"[\s,-]*(?P<y>\d{4})(?!\d)"
    ),
    re.compile(rf"(?P<n>{_WORD})\s*(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[\s,]+(?P<y>\d{{4}})(?!\d)"),
)
_TIME = re.compile(r"[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?$")
_MAX_CHARS = 40
_CENTURY = 2000


def read_date(value: object) -> frozenset[Day]:
    """Return the days that a value of an answer may mean; empty where it is no date."""
    if not isinstance(value, str) or len(value) > _MAX_CHARS:
        return frozenset()
    text = _TIME.sub("", narrow(value).strip())
    for form in _FORMS:
        match = form.fullmatch(text)
        if match and (days := frozenset(_days_of(match))):
            return days
    return frozenset()


def find_dates(line: str) -> Iterator[tuple[int, int, frozenset[Day]]]:
    """Yield where the dates of a line begin and end, and the days that each may mean."""
    for form in _FORMS:
        for match in form.finditer(line):
            if days := frozenset(_days_of(match)):
                yield match.start(), match.end(), days


def _days_of(match: re.Match[str]) -> Iterator[Day]:
    parts = match.groupdict()
    year = int(parts["y"])
    year += _CENTURY if year < 100 else 0
    if "a" in parts:
        first, second = int(parts["a"]), int(parts["b"])
        pairs = {(second, first), (first, second)}
    else:
        pairs = {(_month_of(parts), int(parts["d"]))}
    for month, day in pairs:
        try:
            yield dt.date(year, month, day)
        except ValueError:
            continue


def _month_of(parts: dict[str, str]) -> int:
    """Return the number of a month; 0 for a word that names none."""
    if "m" in parts:
        return int(parts["m"])
    word = parts["n"].lower().strip(".").replace("ä", "a").replace("é", "e").replace("û", "u")
    return next((number for name, number in _NAMED.items() if word.startswith(name)), 0)

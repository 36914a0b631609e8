"""The rule that finds dates in Chinese, English and German writing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

from shared.constraints.regex import Budget, Match, Pattern, compile_pattern
from worker.postprocess.borders import in_number

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?i:(Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?))"
)
_DAY = r"(\d{1,2})(?i:st|nd|rd|th)?"
_NUMERALS = "零一二三四五六七八九"

_YEAR_FIRST = tuple(
    compile_pattern(rf"(\d{{4}}) ?{mark} ?(\d{{1,2}}) ?{mark} ?(\d{{1,2}})")
    for mark in ("-", "/", r"\.")
)
_DAY_FIRST = compile_pattern(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_UNCLEAR = tuple(compile_pattern(rf"(\d{{1,2}}){mark}(\d{{1,2}}){mark}(\d{{4}})") for mark in "-/")
_MONTH_DAY = compile_pattern(_MONTH + r"\.?\s{0,2}" + _DAY + r"(?:,\s{0,2}|\s{1,2})(\d{4})")
_DAY_MONTH = compile_pattern(
    _DAY + r"(?:\s{1,2}of)?[\s-]{0,2}" + _MONTH + r"\.?,?[\s-]{0,2}(\d{4})"
)
_CHINESE = compile_pattern(
    r"(\d{4}|[〇○零一二三四五六七八九]{4})\s?年\s?(\d{1,2}|[一二三四五六七八九十]{1,2})\s?月"
    r"\s?(\d{1,2}|[一二三四五六七八九十廿卅]{1,3})\s?[日号號]"
)


def _iso(year: str | None, month: str | int | None, day: str | None) -> str | None:
    """Return YYYY-MM-DD, or None for a day that no calendar has."""
    try:
        date = dt.date(int(year or 0), int(month or 0), int(day or 0))
    except ValueError:
        return None
    return date.isoformat() if date.year >= 1000 else None


def _year_first(found: Match) -> str | None:
    return _iso(*found.groups)


def _day_first(found: Match) -> str | None:
    day, month, year = found.groups
    return _iso(year, month, day)


def _unclear(found: Match) -> str | None:
    """Return 22/11/2026 and 11/22/2026 as ISO, and 3/4/2026 as it is printed."""
    first, second, year = found.groups
    readings = {_iso(year, second, first), _iso(year, first, second)} - {None}
    return readings.pop() if len(readings) == 1 else (found.whole if readings else None)


def _month_number(name: str | None) -> int:
    return _MONTHS.index((name or "")[:3].lower()) + 1


def _month_day(found: Match) -> str | None:
    month, day, year = found.groups
    return None if _in_word(found) else _iso(year, _month_number(month), day)


def _day_month(found: Match) -> str | None:
    day, month, year = found.groups
    return _iso(year, _month_number(month), day)


def _in_word(found: Match) -> bool:
    return found.before[-1:].isascii() and found.before[-1:].isalpha()


def _chinese(found: Match) -> str | None:
    year, month, day = found.groups
    return _iso(_digits(year), _numeral(month), _numeral(day))


def _digits(text: str | None) -> str:
    plain = (text or "").replace("〇", "零").replace("○", "零")
    return "".join(str(_NUMERALS.index(c)) if c in _NUMERALS else c for c in plain)


def _numeral(text: str | None) -> str:
    """Return 十二 as 12, 廿二 and 二十二 as 22; digits as they are, nonsense as 0."""
    plain = (text or "").replace("廿", "二十").replace("卅", "三十")
    tens, ten, ones = plain.partition("十")
    if not ten:
        return _digits(plain) if len(plain) == 1 or plain.isascii() else "0"
    if len(tens) > 1 or len(ones) > 1 or "十" in ones:
        return "0"
    return _digits(tens or "一") + _digits(ones or "零")


_Reading = Callable[[Match], str | None]
#: Each form with the signs that would make it a part of something longer.
_READINGS: tuple[tuple[Pattern, str, _Reading], ...] = (
    *((pattern, mark, _year_first) for pattern, mark in zip(_YEAR_FIRST, "-/.", strict=True)),
    (_DAY_FIRST, ".", _day_first),
    *((pattern, mark, _unclear) for pattern, mark in zip(_UNCLEAR, "-/", strict=True)),
    (_MONTH_DAY, "", _month_day),
    (_DAY_MONTH, "", _day_month),
    (_CHINESE, "", _chinese),
)


def dates(text: str, budget: Budget) -> Iterator[str]:
    """Yield dates in order of appearance; days that no calendar has are none."""
    told: list[tuple[int, int, str]] = []
    for pattern, joiners, reading in _READINGS:
        for found in pattern.find_matches(text, budget):
            value = None if in_number(found, joiners) else reading(found)
            if value:
                told.append((found.start, found.end, value))
    free = 0
    for start, end, value in sorted(told):
        if start >= free:
            free = end
            yield value

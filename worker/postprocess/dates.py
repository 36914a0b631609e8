"""The rule that finds dates in Chinese, English and German writing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

from shared.constraints.regex import Budget, Match, Pattern, compile_pattern
from worker.postprocess.borders import is_in_number

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
    """Return YYYY-MM-DD, None for a day that no calendar has."""
    try:
        date = dt.date(int(year or 0), int(month or 0), int(day or 0))
    except ValueError:
        return None
    return date.isoformat() if date.year >= 1000 else None


def _read_year_first(match: Match) -> str | None:
    return _iso(*match.groups)


def _read_day_first(match: Match) -> str | None:
    day, month, year = match.groups
    return _iso(year, month, day)


def _read_unclear(match: Match) -> str | None:
    """Return 22/11/2026 and 11/22/2026 as ISO, and 3/4/2026 as it is printed."""
    first, second, year = match.groups
    readings = {_iso(year, second, first), _iso(year, first, second)} - {None}
    return readings.pop() if len(readings) == 1 else (match.whole if readings else None)


def _month_number(name: str | None) -> int:
    return _MONTHS.index((name or "")[:3].lower()) + 1


def _read_month_day(match: Match) -> str | None:
    month, day, year = match.groups
    return None if _is_in_word(match) else _iso(year, _month_number(month), day)


def _read_day_month(match: Match) -> str | None:
    day, month, year = match.groups
    return _iso(year, _month_number(month), day)


def _is_in_word(match: Match) -> bool:
    return match.before[-1:].isascii() and match.before[-1:].isalpha()


def _read_chinese(match: Match) -> str | None:
    year, month, day = match.groups
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


_Reader = Callable[[Match], str | None]
#: Each form with the joiners that would make it a part of something longer.
_READERS: tuple[tuple[Pattern, str, _Reader], ...] = (
    *((pattern, mark, _read_year_first) for pattern, mark in zip(_YEAR_FIRST, "-/.", strict=True)),
    (_DAY_FIRST, ".", _read_day_first),
    *((pattern, mark, _read_unclear) for pattern, mark in zip(_UNCLEAR, "-/", strict=True)),
    (_MONTH_DAY, "", _read_month_day),
    (_DAY_MONTH, "", _read_day_month),
    (_CHINESE, "", _read_chinese),
)


def find_dates(text: str, budget: Budget) -> Iterator[str]:
    """Yield dates as YYYY-MM-DD in order of appearance; days that no calendar has are left out.

    A date whose day and month cannot be told apart is yielded as it is printed.
    """
    dates: list[tuple[int, int, str]] = []
    for pattern, joiners, read in _READERS:
        for match in pattern.find_matches(text, budget):
            value = None if is_in_number(match, joiners) else read(match)
            if value:
                dates.append((match.start, match.end, value))
    last_end = 0
    for start, end, value in sorted(dates):
        if start >= last_end:
            last_end = end
            yield value

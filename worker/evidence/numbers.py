"""Numbers as they are printed: what values a printed number may have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from worker.evidence.plain_text import narrow

#: No part of a date, a time, a longer number or a name.
_BEFORE, _BEHIND = r"(?<![\w.,/:])(?<!\d-)", r"(?!\d|[.,/:]\d|-\d)"
_AROUND = (r"\(?[-+]?", r"\)?(?:-(?!\w))?\s?%?")


def _number(marks: str, least: str) -> re.Pattern[str]:
    """Return the form of a number with marks between thousands, at `least` so many."""
    thousands = rf"\d{{1,3}}(?:[{marks}]\d{{3}}){least}(?:[.,]\d+)?"
    plain = r"|\d+(?:[.,]\d+)?" if least == "+" and "," in marks else ""
    return re.compile(f"{_BEFORE}{_AROUND[0]}(?:{thousands}{plain}){_BEHIND}{_AROUND[1]}")


#: Digits with marks between thousands, and those with blanks, which may be two numbers.
_PRINTED, _SPACED = _number(",.'", "+"), _number(" \u00a0\u202f", "+")
_MONEY = re.compile(
    r"(?:[€$£¥￥₹₩]|\b(?:EUR|USD|GBP|CNY|RMB|JPY|CHF|HKD|TWD|AUD|CAD|INR|KRW)\b|[元圆円])",
    re.IGNORECASE,
)
_MAX_CHARS = 40


def read_value(value: object) -> frozenset[Decimal]:
    """Return what a value of an answer may mean as a number; empty where it is none."""
    if isinstance(value, bool):
        return frozenset()
    if isinstance(value, int | float):
        return frozenset((_decimal(repr(value)) or Decimal(0),))
    text = str(value)
    if len(text) > _MAX_CHARS:
        return frozenset()
    bare = _MONEY.sub(" ", narrow(text)).strip()
    is_number = _PRINTED.fullmatch(bare) or _SPACED.fullmatch(bare)
    return frozenset(read_number(bare)) if is_number else frozenset()


def find_numbers(line: str) -> Iterator[tuple[int, int, str]]:
    """Yield where the numbers of a line begin and end, and each as it is printed."""
    bare = _part_money(line)
    for form in (_PRINTED, _SPACED):
        for match in form.finditer(bare):
            printed = match[0].rstrip()
            yield match.start(), match.start() + len(printed), printed


def _part_money(line: str) -> str:
    """Return a line of the same length where signs of money do not touch numbers."""
    return re.sub(r"[€$£¥￥₹₩元圆円]", " ", line)


def read_number(printed: str) -> Iterator[Decimal]:
    """Yield the values that a printed number may have."""
    is_negative = printed.startswith(("-", "(-", "(")) or printed.rstrip("% ").endswith("-")
    is_negative = is_negative and (not printed.startswith("(") or ")" in printed)
    is_share = printed.endswith("%")
    digits = printed.strip("()-+% ")
    for text in _spellings(digits):
        value = _decimal(text)
        if value is None:
            continue
        value = -value if is_negative else value
        yield value
        if is_share:
            yield value / 100


def _spellings(digits: str) -> Iterator[str]:
    """Yield a number in plain form, as both marks may be read."""
    digits = re.sub(r"[ '\u00a0\u202f]", "", digits)
    dots, commas = digits.count("."), digits.count(",")
    if not dots and not commas:
        yield digits
        return
    if dots and commas:
        mark = max(".,", key=digits.rfind)
        other = "," if mark == "." else "."
        yield digits.replace(other, "").replace(mark, ".")
        return
    mark = "." if dots else ","
    if digits.count(mark) == 1:
        yield digits.replace(mark, ".")
    if re.fullmatch(rf"\d{{1,3}}(?:[{mark}]\d{{3}})+", digits):
        yield digits.replace(mark, "")


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None

"""Rules that find numbers with check digits: Chinese identity cards and bank cards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from shared.constraints.regex import Budget, Match, compile_pattern
from worker.postprocess.borders import is_in_number, is_word

_ID_CARD = compile_pattern(r"([1-9]\d{5})[ -]?((?:18|19|20)\d{6})[ -]?(\d{3}[\dXx])")
#: Provinces and regions: the first two digits of an identity number.
_REGIONS = frozenset(
    {11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46}
    | {50, 51, 52, 53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83, 91}
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"

_GROUPS_OF_DIGITS = compile_pattern(r"\d+(?:[ -]\d+)*")
#: How cards print their digits, the longer form first.
_LAYOUTS = (
    (4, 4, 4, 4, 3),
    (4, 4, 4, 4, 2),
    (4, 4, 4, 4, 1),
    (4, 4, 4, 4),
    (4, 6, 5),
    (4, 6, 4),
    (6, 13),
)


def find_id_cards(text: str, budget: Budget) -> Iterator[str]:
    """Yield identity numbers as 18 characters, the last may be X."""
    for match in _ID_CARD.find_matches(text, budget):
        number = "".join(group or "" for group in match.groups).upper()
        if not _is_part(match) and is_valid_id_card(number):
            yield number


def _is_part(match: Match) -> bool:
    return is_in_number(match, "-.") or is_word(match.before[-1:]) or is_word(match.after[:1])


def is_valid_id_card(number: str) -> bool:
    """Tell whether place, birthday and check digit of an 18-character number are right."""
    try:
        dt.datetime.strptime(number[6:14], "%Y%m%d")  # noqa: DTZ007
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    return int(number[:2]) in _REGIONS and _CHECKS[total % 11] == number[17]


def find_bank_cards(text: str, budget: Budget) -> Iterator[str]:
    """Yield card numbers as 13 to 19 digits."""
    for match in _GROUPS_OF_DIGITS.find_matches(text, budget):
        if not (is_word(match.before[-1:]) or is_word(match.after[:1])):
            yield from _split_cards(match.whole.replace("-", " ").split(" "), budget)


def _split_cards(groups: Sequence[str], budget: Budget) -> Iterator[str]:
    at = 0
    while at < len(groups):
        budget.check()
        count = _count_groups(groups, at)
        if count:
            yield "".join(groups[at : at + count])
        at += count or 1


def _count_groups(groups: Sequence[str], at: int) -> int:
    """Return how many groups from `at` on are one card; 0 if none."""
    lengths = tuple(len(group) for group in groups[at : at + 5])
    for layout in ((lengths[0],), *_LAYOUTS):
        number = "".join(groups[at : at + len(layout)])
        if lengths[: len(layout)] == layout and is_valid_bank_card(number):
            return len(layout)
    return 0


def is_valid_bank_card(number: str) -> bool:
    """Tell whether a number has the length, the first digit and the sum of a bank card."""
    if not 13 <= len(number) <= 19 or number[0] not in "23456789":
        return False
    if len(number) == 18 and is_valid_id_card(number):
        return False
    total = 0
    for place, digit in enumerate(reversed(number)):
        doubled = int(digit) * (2 if place % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0

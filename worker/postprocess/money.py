"""The rule that finds sums of money, with a sign, a code or a word before or after the number."""

from __future__ import annotations

from collections.abc import Iterator

from shared.constraints.regex import Budget, Match, compile_pattern
from worker.postprocess.borders import has_digit_after, has_digit_before, is_word

#: 1,234.50 · 1.234,50 · 1 234,50 · 5,50 · 12.30
_NUMBER = (
    r"(?:\d{1,3}(?:,\d{3})+(?:\.\d{1,4})?|\d{1,3}(?:\.\d{3})+,\d{2}|\d{1,3}(?: \d{3})+,\d{2}"
    r"|\d+,\d{2}|\d+(?:\.\d{1,4})?)"
)
_CODE = r"(?i:RMB|CNY|USD|EUR|GBP|JPY|HKD|TWD|SGD|AUD|CAD|CHF|KRW|INR)"
_SIGN = r"(?:(?:US|HK|NT|CN|R|A|C|S)?[¥￥$＄€£₩₹])"
_WORD = r"(?:元|圆|块钱|美元|美金|欧元|英镑|日元|韩元|港元|港币|新台币|台币|人民币)"
_SCALE = r"(?: ?(?:万|亿|[Mm]illion|[Bb]illion|k|K|M|bn))?"
_AMOUNT = compile_pattern(
    rf"(?:人民币|{_CODE}|{_SIGN})[ :：]?[-−]?{_NUMBER}{_SCALE}(?: ?{_WORD})?"
    rf"|{_NUMBER}{_SCALE} ?(?:{_WORD}|{_CODE}|[€£])"
)
#: 元 begins other words too: 2026元旦, 12元素.
_OTHER_WORDS = tuple("旦素件组宵月年")
#: How a sum may end, other than in a digit.
_ENDS = frozenset("元圆万亿kKM€£")


def find_amounts(text: str, budget: Budget) -> Iterator[str]:
    """Yield sums as they are printed."""
    for match in _AMOUNT.find_matches(text, budget):
        if not _is_cut(match):
            yield _minus(match) + " ".join(match.whole.split())


def _is_cut(match: Match) -> bool:
    """Tell whether the match is a part of a longer number or word."""
    value, before, after = match.whole, match.before[-1:], match.after[:1]
    if has_digit_after(match, ".,") or is_word(after):
        return True
    if value[0].isdigit() and has_digit_before(match, ".,"):
        return True
    if is_word(value[0]) and is_word(before):
        return True
    return value[-1] == "元" and after in _OTHER_WORDS


def _minus(match: Match) -> str:
    """Return the sign before the match unless it joins two sums: 10-20元."""
    other, sign = match.before[:-1], match.before[-1:]
    return "-" if sign in {"-", "−"} and not (other.isdigit() or other in _ENDS) else ""

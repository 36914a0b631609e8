"""Whether letters are those of a language: a font whose table is wrong says other ones.

A table that is shifted or mixed up keeps how unevenly letters are used, but not which ones are the
frequent ones. In all languages that are written with Latin letters those are nearly the same.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

#: How often each letter is used, in thousandths: the mean of 27 languages, without accents.
_USE = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        (
            *(108, 16, 26, 36, 117, 12, 22, 16, 85, 10, 30, 47, 29),
            *(73, 65, 28, 1.5, 63, 59, 70, 39, 18, 4, 3, 10, 14),
        ),
        strict=True,
    )
)
_SURPRISES = {letter: -math.log(thousandths / 1000) for letter, thousandths in _USE.items()}
#: The mean surprise of a text: 2.8 to 3.2 in those languages, from 3.35 on if letters are mixed up.
_MOST_SURPRISE = 3.27
#: What is added for few letters, over the root of their number.
_SLACK = 1.0
_LEAST_LETTERS = 60
#: Fewer letters say something only if they are very usual.
_FEW_LETTERS, _FEW_SURPRISE = 24, 3.05
#: How unevenly the letters of a language are used; codes and alphabets use them evenly.
_LEAST_UNEVEN = 0.05
#: Numbers whose font has no table and that make sense without, at least.
_LEAST_DECIMALS = 6
_DECIMAL = re.compile(r"[-\u2212+]?\d+[.,]\d+%?")
_WORD = re.compile(r"[^\W\d_]{3,}")
#: What stands in names of programs and in encoded data.
_CODE = re.compile("[a-z][A-Z]")
_LAST_LATIN = "\u024f"

#: Share of letters with accents that no language has; it is another alphabet's code page then.
_MOST_ACCENTED = 0.5
_LEAST_ACCENTED = 12

#: Chinese and Japanese texts have mostly letters of the first level of a national standard.
_STANDARDS = (("gb2312", 0xB0, 0xD7), ("big5", 0xA4, 0xC6), ("euc_jp", 0xB0, 0xCF))
_LEAST_HAN = 12
_LEAST_COMMON = 0.5
#: Share of hiragana in a Japanese text.
_LEAST_HIRAGANA = 0.15
_HAN = re.compile("[\u3400-\u9fff]")


def makes_sense(texts: Sequence[str]) -> bool:
    """Tell whether texts of several fonts, whose tables are missing, show that none was needed.

    They have enough Latin letters, used as a language uses them, or hiragana, or decimal numbers.
    """
    letters = [_distinct_letters(text) for text in texts]
    plain = all(_is_usual(one) for one in letters if one)
    together = "".join(letters)
    sure = len(together) >= _LEAST_LETTERS or _is_most_usual(together)
    everything = " ".join(texts)
    return plain and (sure or _is_japanese(everything) or _is_mostly_decimals(everything))


def _is_most_usual(letters: str) -> bool:
    return len(letters) >= _FEW_LETTERS and _mean_surprise(letters) <= _FEW_SURPRISE


def _is_japanese(text: str) -> bool:
    hiragana = sum("\u3041" <= letter <= "\u3096" for letter in text)
    return hiragana >= _LEAST_HIRAGANA * max(_LEAST_HAN, len(text))


def _is_mostly_decimals(text: str) -> bool:
    words = text.split()
    decimals = sum(bool(_DECIMAL.fullmatch(word)) for word in words)
    return decimals >= max(_LEAST_DECIMALS, len(words) / 2)


def has_foreign_letters(text: str) -> bool:
    """Tell whether a text has letters that no text of such length has: their table is wrong."""
    return _is_mixed_up(text) or _is_code_page(text) or _is_rare_han(text)


def _is_mixed_up(text: str) -> bool:
    letters = _distinct_letters(text)
    count = len(letters)
    if count < _LEAST_LETTERS:
        return False
    unevenness = sum(uses**2 for uses in Counter(letters).values()) / count**2
    return unevenness >= _LEAST_UNEVEN and not _is_usual(letters)


def _is_usual(letters: str) -> bool:
    """Tell whether letters are no less usual than in the languages that are known."""
    limit = _MOST_SURPRISE + _SLACK / math.sqrt(len(letters))
    return _mean_surprise(letters) <= limit


def _mean_surprise(letters: str) -> float:
    return sum(map(_SURPRISES.__getitem__, letters)) / len(letters)


def _distinct_letters(text: str) -> str:
    """Return the letters of all different Latin words, small and without accents or repetition."""
    different = {match.group() for match in _WORD.finditer(text)}
    words = (word for word in different if max(word) <= _LAST_LATIN and not _CODE.search(word))
    plain = (unicodedata.normalize("NFD", word).casefold() for word in words)
    letters = (letter for word in plain for letter, _ in groupby(word))
    return "".join(letter for letter in letters if letter in _SURPRISES)


def _is_code_page(text: str) -> bool:
    words = (match.group() for match in _WORD.finditer(text))
    letters = "".join(word for word in words if max(word) <= _LAST_LATIN)
    accented = sum(letter > "\x7f" for letter in letters)
    return accented >= _LEAST_ACCENTED and accented > _MOST_ACCENTED * len(letters)


def _is_rare_han(text: str) -> bool:
    letters = set(_HAN.findall(text))
    if len(letters) < _LEAST_HAN:
        return False
    return sum(map(_is_common_han, letters)) < _LEAST_COMMON * len(letters)


def _is_common_han(letter: str) -> bool:
    codes = ((letter.encode(name, "ignore"), first, last) for name, first, last in _STANDARDS)
    return any(len(code) == 2 and first <= code[0] <= last for code, first, last in codes)

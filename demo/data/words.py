"""Random text to be drawn: words, numbers, prices, dates, codes and plain noise."""

from __future__ import annotations

import string
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

#: Everything that the model is taught to read.
ALPHABET = string.ascii_letters + string.digits + string.punctuation + " "

_MIXED = string.ascii_letters + string.digits + "-_/.:,#&%+()!?@'\"=*;<>[]{}|\\^~`$"
_ONSETS = (
    *"bcdfghjklmnprstvwxyz",
    *("bl", "br", "ch", "cl", "dr", "fl", "gr", "ph", "pl", "qu", "sh", "st", "th", "tr"),
)
_VOWELS = (*"aeiouy", "ai", "au", "ea", "ee", "ie", "oo", "ou")
_CODAS = ["", "", "b", "ck", "d", "ff", "g", "ll", "m", "n", "nd", "p", "rk", "s", "ss", "t", "x"]


@lru_cache(maxsize=1)
def known() -> tuple[str, ...]:
    """List common English words, read once from the list beside this file."""
    return tuple((Path(__file__).parent / "words.txt").read_text().split())


def plain(rng: Random) -> str:
    """One word of letters: mostly a known one, sometimes a made-up one."""
    if rng.random() < 0.7:
        return rng.choice(known())
    syllables = rng.randint(1, 3)
    return "".join(
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(syllables)
    )


def cased(rng: Random) -> str:
    word = plain(rng)
    style = rng.random()
    if style < 0.55:
        return word
    return word.capitalize() if style < 0.8 else word.upper()


def price(rng: Random) -> str:
    amount = f"{rng.randint(0, 10 ** rng.randint(1, 4))}.{rng.randint(0, 99):02d}"
    return rng.choice(["$", "", "", "-"]) + amount


def date(rng: Random) -> str:
    year, month, day = rng.randint(1990, 2035), rng.randint(1, 12), rng.randint(1, 28)
    return rng.choice(
        [f"{year}-{month:02d}-{day:02d}", f"{day:02d}/{month:02d}/{year}", f"{day}.{month}.{year}"]
    )


def clock(rng: Random) -> str:
    return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"


def number(rng: Random) -> str:
    return str(rng.randint(0, 10 ** rng.randint(1, 8)))


def phone(rng: Random) -> str:
    return f"1{rng.randint(3, 9)}" + "".join(rng.choices(string.digits, k=9))


def code(rng: Random) -> str:
    return "".join(rng.choices(_MIXED, k=rng.randint(1, 8)))


def punctuated(rng: Random) -> str:
    word = cased(rng)
    form = rng.choice(["{}.", "{},", "{}:", "{}!", "{}?", "({})", '"{}"', "{};", "{}'s", "#{}"])
    return form.format(word)


_KINDS = (
    (cased, 0.52),
    (punctuated, 0.12),
    (number, 0.09),
    (price, 0.07),
    (date, 0.03),
    (clock, 0.02),
    (phone, 0.01),
    (code, 0.14),
)


def token(rng: Random) -> str:
    """One random piece of text without spaces."""
    makers, weights = zip(*_KINDS, strict=True)
    return rng.choices(makers, weights)[0](rng)

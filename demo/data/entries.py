"""Random entries of everyday papers: amounts, addresses, names, numbers, without spaces."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from demo.data import words

if TYPE_CHECKING:
    from random import Random

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ENDINGS = ("com", "com", "com", "org", "net", "io", "de", "co.uk", "example", "cn", "eu")
_CURRENCIES = ("$", "$", "EUR", "USD", "GBP", "CHF", "CNY", "US$")
#: Names in which thin letters stand beside each other.
_NAMES = (
    *("Berlin", "Dublin", "Lille", "Illinois", "Brasilia", "Melilla", "Sicily", "Finland"),
    *("Lilian", "William", "Philip", "Ellie", "Willi", "Julia", "Oliver", "Emil", "Nelli"),
    *("million", "billing", "filling", "until", "small", "follow", "Collins", "Hilly", "ill"),
    *("illegible", "parallel", "initial", "Utility", "Limited", "Ltd", "village", "skill"),
)
_THIN = "iiillljtfrI1"
#: Characters that are easily taken for each other.
_ALIKE = ("0O", "1lI", "5S", "8B", "2Z", "rnm", "vvw", "cld", "UV", ".,", ":;", "-_")


def grouped(rng: Random) -> str:
    """Write a number with commas between its thousands."""
    return f"{rng.randint(1000, 10 ** rng.randint(4, 8)):,}"


def amount(rng: Random) -> str:
    """Write an amount of money, most of them with commas between thousands."""
    value = rng.randint(0, 10 ** rng.randint(1, 7)) + rng.randint(0, 99) / 100
    text = f"{value:,.2f}" if rng.random() < 0.85 else f"{value:.2f}"
    if rng.random() < 0.06:
        text = text.translate(str.maketrans(".,", ",."))
    return rng.choice(["", "", "", "", "-", "+"]) + text


def money(rng: Random) -> str:
    """Write an amount with its currency before or behind it."""
    currency = rng.choice(_CURRENCIES)
    if currency.endswith("$"):
        return currency + amount(rng).lstrip("+-")
    return currency + amount(rng) if rng.random() < 0.3 else amount(rng) + currency


def host(rng: Random) -> str:
    """Write a domain."""
    parts = [words.plain(rng).lower() for _ in range(rng.choice([1, 1, 2]))]
    return rng.choice([".", "-", ""]).join(parts) + "." + rng.choice(_ENDINGS)


def mail(rng: Random) -> str:
    """Write an e-mail address."""
    name = words.plain(rng).lower()
    if rng.random() < 0.5:
        name += rng.choice([".", "_", "-", "+"]) + words.plain(rng).lower()
    return f"{name}{rng.choice(['', '', str(rng.randint(1, 99))])}@{host(rng)}"


def url(rng: Random) -> str:
    """Write a web address, some with a path and a query."""
    start = rng.choice(["https://", "http://", "www.", "https://www.", ""])
    path = "".join(f"/{words.plain(rng).lower()}" for _ in range(rng.choice([0, 1, 1, 2])))
    query = f"?{rng.choice('idqp')}={rng.randint(1, 9999)}" if rng.random() < 0.2 else ""
    return start + host(rng) + path + query


def phone(rng: Random) -> str:
    """Write a telephone number in one of several forms."""
    digits = "".join(rng.choices(string.digits, k=10))
    forms = ("({}){}-{}", "{}-{}-{}", "+1-{}-{}-{}", "0{}/{}{}", "+49{}{}{}", "{}.{}.{}")
    return rng.choice(forms).format(digits[:3], digits[3:6], digits[6:])


def day(rng: Random) -> str:
    """Write a date in one of several forms."""
    year, month, number = rng.randint(1985, 2035), rng.randint(1, 12), rng.randint(1, 28)
    return rng.choice(
        (
            f"{year}-{month:02d}-{number:02d}",
            f"{number:02d}/{month:02d}/{year}",
            f"{month}/{number}/{year % 100:02d}",
            f"{number:02d}.{month:02d}.{year}",
            f"{number}-{_MONTHS[month - 1]}-{year}",
            f"{year}/{month:02d}/{number:02d}",
            f"{year}-{month:02d}-{number:02d}T{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}Z",
        )
    )


def hour(rng: Random) -> str:
    """Write a time of the day, some with seconds."""
    text = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
    return f"{text}:{rng.randint(0, 59):02d}" if rng.random() < 0.5 else text


def reference(rng: Random) -> str:
    """Write the number of an order, an account, a version or an address in a network."""
    letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(2, 4)))
    digits = "".join(rng.choices(string.digits, k=rng.randint(3, 8)))
    mixed = "".join(rng.choices(string.ascii_uppercase + string.digits, k=rng.randint(5, 10)))
    return rng.choice(
        (
            f"{letters}-{digits}",
            f"{letters}{digits}",
            f"#{digits}",
            f"No.{digits}",
            mixed,
            f"v{digits[0]}.{digits[1]}.{digits[2]}",
            ".".join(str(rng.randint(0, 255)) for _ in range(4)),
            f"{mixed[:4]}-{mixed[1:5]}",
        )
    )


def share(rng: Random) -> str:
    """Write a percentage or a quantity."""
    number = rng.randint(1, 999)
    form = rng.choice(["{}%", "{}.5%", "{}x", "x{}", "{}kg", "{}pcs", "{}/10", "{}mm"])
    return form.format(number)


def thin(rng: Random) -> str:
    """Write a name or a word of many thin letters."""
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(_NAMES)
    run = "".join(rng.choices(_THIN, k=rng.randint(2, 4)))
    return words.plain(rng) + run if kind < 0.75 else run + words.plain(rng)


def alike(rng: Random) -> str:
    """Write characters that are easily taken for each other."""
    pool = rng.choice(_ALIKE) + rng.choice(_ALIKE)
    return "".join(rng.choices(pool, k=rng.randint(3, 7)))


_KINDS = (
    (amount, 0.2),
    (money, 0.1),
    (grouped, 0.08),
    (mail, 0.09),
    (url, 0.09),
    (host, 0.04),
    (phone, 0.06),
    (day, 0.08),
    (hour, 0.04),
    (reference, 0.09),
    (share, 0.04),
    (thin, 0.14),
    (alike, 0.03),
)


def entry(rng: Random) -> str:
    """One random entry without spaces."""
    makers, weights = zip(*_KINDS, strict=True)
    return rng.choices(makers, weights)[0](rng)


def mixed(rng: Random) -> str:
    """One word, or one entry."""
    return entry(rng) if rng.random() < 0.4 else words.token(rng)

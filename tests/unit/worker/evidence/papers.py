"""Drawn invoices, receipts and forms: values as a model might write them, and where each stands."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from PIL import Image, ImageDraw

from demo.data import fonts, words

Box = tuple[float, float, float, float]
_SIZE = 22
_MONTHS = "January February March April May June July August September October November December"


@dataclass(slots=True)
class Paper:
    """An image, the answer about it, and the box of each value by its JSON pointer."""

    image: Image.Image
    values: dict[str, Any] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)
    #: Values of fields that are not on it.
    invented: dict[str, Any] = field(default_factory=dict)


class _Pen:
    def __init__(self, rng: Random, width: int, height: int) -> None:
        self.rng = rng
        self.image = Image.new("RGB", (width, height), "white")
        self.paper = Paper(self.image)
        self._draw = ImageDraw.Draw(self.image)
        self._font = fonts.load(fonts.PILLOW, _SIZE)

    def write(self, x: float, y: float, text: str, pointer: str | None = None) -> float:
        """Write a text, of a value if it has a pointer; return where it ends."""
        self._draw.text((x, y), text, font=self._font, fill="black")
        if pointer:
            ink = Image.new("L", self.image.size)
            ImageDraw.Draw(ink).text((x, y), text, font=self._font, fill=255)
            self.paper.boxes[pointer] = ink.getbbox() or (x, y, x, y)
        return x + self._font.getlength(text)

    def label(self, x: float, y: float, label: str, text: str, pointer: str) -> None:
        """Write a label and the value behind it."""
        self.write(self.write(x, y, label) + 12, y, text, pointer)


def money(rng: Random, cents: int) -> tuple[str, Any]:
    """Return an amount as it is printed, and as a model may write it."""
    whole, rest = divmod(cents, 100)
    english, german = f"{whole:,}.{rest:02}", f"{whole:,}".replace(",", ".") + f",{rest:02}"
    printed = rng.choice([english, english, german])
    written = rng.choice([cents / 100, printed, english, f"{whole}.{rest:02}", f"EUR {english}"])
    return printed, written


def day(rng: Random) -> tuple[str, str]:
    """Return a date as it is printed, and as a model may write it."""
    date = dt.date(2026, 1, 13) + dt.timedelta(days=rng.randrange(340))
    named = f"{date.day} {_MONTHS.split()[date.month - 1]} {date.year}"
    printed = rng.choice([named, f"{date:%d.%m.%Y}", f"{date:%Y-%m-%d}", f"{date:%m/%d/%Y}"])
    return printed, rng.choice([printed, f"{date:%Y-%m-%d}"])


def invoice(number: int) -> Paper:
    """Draw an invoice with a table, whose amounts repeat now and then."""
    rng = Random(f"invoice:{number}")
    pen = _Pen(rng, 1000, 900)
    values = pen.paper.values
    values["seller"] = f"{words.plain(rng).title()} Trading"
    pen.write(60, 40, values["seller"], "/seller")
    values["invoice_number"] = f"{rng.choice('RAI')}{rng.randrange(10**5, 10**6)}"
    pen.label(60, 110, "Invoice No.", values["invoice_number"], "/invoice_number")
    printed, values["date"] = day(rng)
    pen.label(560, 110, "Date:", printed, "/date")
    values["items"] = []
    for x, head in ((60, "Article"), (470, "Qty"), (600, "Price"), (800, "Amount")):
        pen.write(x, 190, head)
    total = 0
    for row in range(rng.randrange(2, 7)):
        total += _draw_row(pen, row, values["items"])
    y = 260 + 40 * len(values["items"])
    tax = round(total * rng.choice([0, 0.07, 0.19]))
    for name, label, cents in (
        ("subtotal", "Subtotal", total),
        ("tax", "VAT", tax),
        ("total", "Total", total + tax),
    ):
        pen.write(600, y, label)
        printed, values[name] = money(rng, cents)
        pen.write(800, y, printed, f"/{name}")
        y += 40
    pen.paper.invented = _invent(rng)
    return pen.paper


def _draw_row(pen: _Pen, row: int, items: list[dict[str, Any]]) -> int:
    rng, y = pen.rng, 230 + 40 * row
    name = f"{words.plain(rng).title()} {words.plain(rng)}"
    count, cents = rng.randrange(1, 15), rng.choice([250, 1200, rng.randrange(100, 90_000)])
    item: dict[str, Any] = {"name": name, "quantity": rng.choice([count, str(count)])}
    pen.write(60, y, name, f"/items/{row}/name")
    pen.write(470, y, str(count), f"/items/{row}/quantity")
    for key, amount, x in (("price", cents, 600), ("amount", count * cents, 800)):
        printed, item[key] = money(rng, amount)
        pen.write(x, y, printed, f"/items/{row}/{key}")
    items.append(item)
    return count * cents


def form(number: int) -> Paper:
    """Draw a form with labels above or before values, in two columns, a little slanted."""
    rng = Random(f"form:{number}")
    pen = _Pen(rng, 1000, 700)
    makers: dict[str, Callable[[], tuple[str, Any]]] = {
        "first_name": lambda: (words.plain(rng).title(),) * 2,
        "last_name": lambda: (words.plain(rng).title(),) * 2,
        "birth_date": lambda: day(rng),
        "city": lambda: (words.plain(rng).title(),) * 2,
        "postcode": lambda: (str(rng.randrange(10_000, 99_999)),) * 2,
        "phone": lambda: (f"0{rng.randrange(10, 99)} {rng.randrange(10**5, 10**7)}",) * 2,
        "email": lambda: (f"{words.plain(rng)}@{words.plain(rng)}.org".lower(),) * 2,
        "salary": lambda: money(rng, rng.randrange(10_000, 900_000)),
    }
    is_above = rng.random() < 0.5
    for at, (name, make) in enumerate(makers.items()):
        x, y = 60 + 480 * (at % 2), 60 + 140 * (at // 2)
        printed, pen.paper.values[name] = make()
        label = name.replace("_", " ").capitalize()
        if is_above:
            pen.write(x, y, label)
            pen.write(x, y + 34, printed, f"/{name}")
        else:
            pen.label(x, y, f"{label}:", printed, f"/{name}")
    pen.paper.invented = _invent(rng)
    return _slant(pen.paper, rng.uniform(-2, 2))


def _invent(rng: Random) -> dict[str, Any]:
    """Return values of fields that no paper has."""
    return {
        "iban": f"DE{rng.randrange(10**19, 10**20)}",
        "contract": f"K-{rng.randrange(10**4, 10**5)}",
        "discount": rng.randrange(10**5, 10**7) / 100,
        "paid_on": f"{rng.randrange(1980, 1999)}-{rng.randrange(1, 13):02}-11",
        "contact": f"{words.plain(rng).title()} Quimby-Xavier",
    }


def _slant(paper: Paper, degrees: float) -> Paper:
    """Return a paper that lies a little askew."""
    width, height = paper.image.size
    image = paper.image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor="white")
    angle = math.radians(degrees)

    def turned(box: Box) -> Box:
        xs, ys = [], []
        for x in (box[0], box[2]):
            for y in (box[1], box[3]):
                across, down = x - width / 2, y - height / 2
                xs.append(width / 2 + across * math.cos(angle) + down * math.sin(angle))
                ys.append(height / 2 - across * math.sin(angle) + down * math.cos(angle))
        return min(xs), min(ys), max(xs), max(ys)

    boxes = {pointer: turned(box) for pointer, box in paper.boxes.items()}
    return Paper(image, paper.values, boxes, paper.invented)


KINDS = {"invoice": invoice, "form": form}

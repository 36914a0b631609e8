"""Draws till receipts, bills and forms, read line by line, with questions about their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.data import augment, entries, prompts, words
from demo.data.documents import Piece, Sheet, cut_to_width
from demo.data.drawing import text_width
from demo.data.scenes import Sample, Script, fill_line

if TYPE_CHECKING:
    from random import Random

    from demo.data.scenes import Turn, Vocabulary

_SUMS = ("Subtotal", "Tax", "VAT 19%", "Discount", "Tip", "Delivery", "Balance", "Net", "Gross")
_TOTALS = ("Total", "TOTAL", "Sum", "Amount due", "Grand total", "Total:", "TOTAL USD", "Total EUR")
_PAID = ("Cash", "Change", "Card", "VISA", "Paid", "Due")
_ENDS = (
    "Thank you!",
    "Thank you for your visit",
    "Please come again",
    "THANK YOU",
    "Have a nice day",
)

#: Names of a form's fields with what stands beside them.
_FIELDS: tuple[tuple[str, Vocabulary], ...] = (
    ("Name", entries.thin),
    ("First name", words.plain),
    ("City", entries.thin),
    ("Country", words.plain),
    ("Company", words.cased),
    ("Date", entries.day),
    ("Due date", entries.day),
    ("Date of birth", entries.day),
    ("Time", entries.hour),
    ("Phone", entries.phone),
    ("Fax", entries.phone),
    ("E-mail", entries.mail),
    ("Email", entries.mail),
    ("Website", entries.url),
    ("Invoice no.", entries.reference),
    ("Order", entries.reference),
    ("Account", entries.reference),
    ("Customer ID", entries.reference),
    ("Amount", entries.money),
    ("Amount due", entries.money),
    ("Balance", entries.amount),
    ("Salary", entries.money),
    ("Quantity", entries.grouped),
    ("Rate", entries.share),
    ("Title", words.cased),
    ("Department", words.plain),
    ("Status", words.plain),
    ("Reference", entries.reference),
    ("Signature", words.plain),
    ("Comment", words.cased),
)


def _entry_line(sheet: Sheet, name: str, value: str, face: str) -> str:
    """Write a name at the left and a value at the right edge; return the value as far as drawn."""
    room, size = sheet.right - sheet.left, sheet.size
    value = cut_to_width(value, room * 0.6, face, size)
    x = sheet.right - round(text_width(value, face, size))
    name = cut_to_width(name, x - sheet.left - 1.5 * size, face, size) or name[:1]
    sheet.line([Piece(f"{name} ", face), Piece(value, face, x)], size, sheet.ink, sheet.left)
    return value


def _centred(sheet: Sheet, text: str, face: str) -> None:
    """Write a line in the middle of the paper."""
    text = cut_to_width(text, sheet.right - sheet.left, face, sheet.size)
    spare = sheet.right - sheet.left - text_width(text, face, sheet.size)
    sheet.line([Piece(text, face)], sheet.size, sheet.ink, sheet.left + round(spare / 2))


def _parting(sheet: Sheet) -> None:
    """Draw a thin rule across the paper, or leave a gap."""
    y = sheet.y + round(sheet.size * 0.1)
    if sheet.rng.random() < 0.5:
        sheet.canvas.pen.line((sheet.left, y, sheet.right, y), fill=sheet.ink)
    sheet.y += round(sheet.size * 0.4)


def _shop(sheet: Sheet) -> None:
    rng, bold = sheet.rng, sheet.rng.choice(sheet.family)
    title = " ".join(words.cased(rng) for _ in range(rng.choice([1, 2, 2])))
    makers = (entries.phone, entries.host, entries.mail, entries.thin, entries.day, entries.url)
    for text, face in (
        (title, bold),
        *((rng.choice(makers)(rng), sheet.face) for _ in range(rng.randint(0, 3))),
    ):
        if sheet.fits(sheet.size):
            _centred(sheet, text, face)
    if rng.random() < 0.5 and sheet.fits(sheet.size):
        _entry_line(sheet, entries.day(rng), entries.hour(rng), sheet.face)


def _item(rng: Random, stock: list[str]) -> str:
    name = rng.choice(stock)
    kind = rng.random()
    if kind < 0.25:
        return f"{rng.randint(1, 12)} {name}"
    return f"{rng.randint(1, 12)} x {name}" if kind < 0.4 else name


def _list_prices(sheet: Sheet, names: list[str], price: Vocabulary, leave: int) -> None:
    """Write names with prices, as far as `leave` lines stay free for what follows."""
    for name in names:
        if sheet.fits(leave * sheet.size):
            _entry_line(sheet, name, price(sheet.rng), sheet.face)


def receipt(rng: Random, width: int, height: int) -> Sample:
    """Draw a shop's head, items with prices at the right edge, sums and a farewell.

    It is read, and in some cases the total is asked for.
    """
    sheet = Sheet(rng, width, height)
    sheet.resize()
    bold = rng.choice(sheet.family)
    _shop(sheet)
    _parting(sheet)
    stock = [
        " ".join(words.plain(rng).capitalize() for _ in range(rng.choice([1, 1, 2])))
        for _ in range(rng.choice([2, 4, 12]))
    ]
    price: Vocabulary = rng.choice([entries.amount, entries.amount, words.price, entries.money])
    items = [_item(rng, stock) for _ in range(rng.randint(2, 24))]
    _list_prices(sheet, items, price, leave=5)
    _parting(sheet)
    _list_prices(sheet, rng.sample(_SUMS, rng.randint(0, 2)), price, leave=3)
    total = _entry_line(sheet, rng.choice(_TOTALS), price(rng), bold)
    start = len(sheet.canvas.glyphs) - len(total)
    _list_prices(sheet, rng.sample(_PAID, rng.randint(0, 2)), price, leave=1)
    if rng.random() < 0.4 and sheet.fits(sheet.size):
        _centred(sheet, rng.choice(_ENDS), sheet.face)
    turns = [sheet.script.turn(prompts.reading(rng))]
    if rng.random() < 0.35:
        question = rng.choice(prompts.TOTAL)[rng.random() < 0.3]
        turns.insert(rng.choice([0, 1]), _value(question, total, start))
    return Sample(augment.add_defects(rng, sheet.canvas.image), turns, sheet.canvas.glyphs)


def _value(question: str, text: str, start: int) -> Turn:
    """Make the turn that asks for one value on the paper."""
    script = Script()
    script.read(text, start)
    return script.turn(question)


class Form:
    """Fields in one or two columns, their values in boxes, on lines or free."""

    def __init__(self, sheet: Sheet) -> None:
        rng = sheet.rng
        self.sheet, self.bold = sheet, rng.choice(sheet.family)
        wide = sheet.right - sheet.left > sheet.size * 26
        self.columns = rng.choice([1, 1, 2]) if wide else 1
        self.frame = rng.choice(["box", "line", "none"])
        self.colon = rng.choice([":", ":", ""])
        self.step = round((sheet.right - sheet.left) / self.columns)
        self.indent = rng.uniform(0.3, 0.5)
        #: Name, value and the value's first glyph.
        self.known: list[tuple[str, str, int]] = []

    def row(self, fields: list[tuple[str, Vocabulary]]) -> None:
        """Write the fields that stand beside each other."""
        sheet, size = self.sheet, self.sheet.size
        pieces: list[Piece] = []
        glyph = len(sheet.canvas.glyphs)
        for number, (name, make) in enumerate(fields):
            left = sheet.left + number * self.step
            x = left + round(self.step * self.indent)
            end = left + self.step - size
            label = cut_to_width(f"{name}{self.colon}", x - left - 6, self.bold, size) + " "
            empty = sheet.rng.random() < 0.08
            value = "" if empty else cut_to_width(make(sheet.rng), end - x - 4, sheet.face, size)
            space = " " if number + 1 < len(fields) and value else ""
            pieces += [Piece(label, self.bold, left), Piece(value + space, sheet.face, x)]
            self._frame(x - 3, end)
            if value and name == label.rstrip(" :"):
                self.known.append((name, value, glyph + len(label)))
            glyph += len(label) + len(value + space)
        if not pieces[-1].text:
            pieces[-2] = pieces[-2]._replace(text=pieces[-2].text.rstrip())
        sheet.line(pieces, size, sheet.ink, sheet.left)

    def _frame(self, left: int, right: int) -> None:
        sheet, size = self.sheet, self.sheet.size
        bottom = sheet.y + round(size * 1.22)
        grey = (140, 140, 140)
        if self.frame == "box":
            sheet.canvas.pen.rectangle((left, sheet.y - 2, right, bottom), outline=grey)
        elif self.frame == "line":
            sheet.canvas.pen.line((left, bottom, right, bottom), fill=grey)


def form(rng: Random, width: int, height: int) -> Sample:
    """Draw a form with a title; it is read, and in some cases a field's value is asked for."""
    sheet = Sheet(rng, width, height)
    sheet.resize()
    sheet.spacing = rng.uniform(1.4, 2.2)
    sheet.y += 2
    if rng.random() < 0.6:
        title = fill_line(
            rng, (sheet.right - sheet.left) * 0.6, sheet.face, sheet.size, words.cased
        )
        _centred(sheet, title, rng.choice(sheet.family))
        sheet.pause()
    drawn, fields = Form(sheet), rng.sample(_FIELDS, rng.randint(3, 20))
    for first in range(0, len(fields), drawn.columns):
        if not sheet.fits(sheet.size + 3):
            break
        drawn.row(fields[first : first + drawn.columns])
    turns = [sheet.script.turn(prompts.reading(rng))]
    if drawn.known and rng.random() < 0.5:
        name, value, start = rng.choice(drawn.known)
        question = rng.choice(prompts.FIELD)[rng.random() < 0.3].format(name)
        turns.insert(rng.choice([0, 1]), _value(question, value, start))
    return Sample(augment.add_defects(rng, sheet.canvas.image), turns, sheet.canvas.glyphs)


def paper(rng: Random, width: int, height: int) -> Sample:
    """Draw a receipt or a form."""
    return rng.choice([receipt, form])(rng, width, height)

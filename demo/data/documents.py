"""Drawn documents: headings, text, lists, fields and tables on one page."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from demo.data import augment, fonts, prompts, words
from demo.data.drawing import Canvas, Colour, text_width
from demo.data.scenes import Sample, Script, colours, fill_line
from demo.data.tables import edges, fitting_cell, rule, write_markdown_table

if TYPE_CHECKING:
    from random import Random


class Piece(NamedTuple):
    """A part of a line in one face, its last space included."""

    text: str
    face: str
    #: Its left edge, None for directly after the piece before it.
    x: int | None = None


class Sheet:
    """A page that is filled from top to bottom, with the transcript of its text."""

    def __init__(self, rng: Random, width: int, height: int) -> None:
        self.rng = rng
        self.background, self.ink = colours(rng)
        self.canvas = Canvas.blank(width, height, self.background)
        self.script = Script()
        self.family = rng.choice(fonts.families())
        self.size = rng.randint(14, max(14, min(24, width // 14)))
        self.spacing = rng.uniform(1.15, 1.6)
        self.left = rng.randint(2, max(2, min(40, width // 8)))
        self.right = width - rng.randint(2, max(3, min(40, width // 8)))
        self.y = rng.randint(0, max(0, min(24, height // 8)))
        self.lines = 0

    def resize(self) -> None:
        """Choose small or large type instead, in some cases."""
        width, _ = self.canvas.image.size
        kind = self.rng.random()
        if kind < 0.15:
            self.size = self.rng.randint(12, 14)
        elif kind < 0.4:
            self.size = self.rng.randint(20, max(20, min(48, width // 14)))

    @property
    def face(self) -> str:
        """The face of running text."""
        return self.family[0]

    def fits(self, size: int) -> bool:
        """Whether there is room for another line of `size` pixels."""
        return self.y + size * 1.2 <= self.canvas.image.height

    def write(self, text: str, x: int, y: int, face: str, size: int, ink: Colour) -> int:
        """Draw a piece of the current line; return the number of its first glyph."""
        glyphs = self.canvas.glyphs
        start = len(glyphs)
        behind = bool(glyphs) and glyphs[-1].line == self.lines
        column = glyphs[-1].column + 1 if behind else 0
        self.canvas.write(text, x, y, face, size, ink, self.lines, column)
        return start

    def begin(self) -> None:
        """Begin a new line of the transcript."""
        if self.lines:
            self.script.mark("\n")

    def line(self, pieces: list[Piece], size: int, ink: Colour, x: int) -> None:
        """Draw a line from `x` on and add it to the transcript."""
        pieces = [piece for piece in pieces if piece.text]
        if not pieces:
            return
        self.begin()
        at = float(x)
        for piece in pieces:
            at = at if piece.x is None else piece.x
            start = self.write(piece.text, round(at), self.y, piece.face, size, ink)
            self.script.read(piece.text, start)
            at += fonts.load(piece.face, size).getlength(piece.text)
        self.lines += 1
        self.y += round(size * self.spacing)

    def pause(self) -> None:
        """Leave a gap between two sections."""
        self.y += round(self.size * self.rng.uniform(0.1, 1.2))


def heading(sheet: Sheet) -> None:
    """Write one short line, larger or bolder than the rest, at the left or in the middle."""
    headline(sheet, min(40, round(sheet.size * sheet.rng.uniform(1.0, 2.2))))


def headline(sheet: Sheet, size: int) -> None:
    """Write one line of `size` pixels at the left or in the middle."""
    rng = sheet.rng
    if not sheet.fits(size):
        return
    face = rng.choice(sheet.family)
    room = (sheet.right - sheet.left) * rng.uniform(0.3, 1.0)
    text = fill_line(rng, room, face, size)
    spare = sheet.right - sheet.left - text_width(text, face, size)
    x = sheet.left + (round(spare / 2) if rng.random() < 0.25 else 0)
    ink = sheet.ink
    if rng.random() < 0.3 and sum(sheet.background) > 3 * 128:
        ink = (rng.randint(0, 150), rng.randint(0, 90), rng.randint(0, 150))
    sheet.line([Piece(text, face)], size, ink, x)


def mix_faces(sheet: Sheet, text: str) -> list[Piece]:
    """Set one run of words in another face of the family."""
    if len(sheet.family) == 1 or sheet.rng.random() > 0.25:
        return [Piece(text, sheet.face)]
    parts = text.split(" ")
    first = sheet.rng.randrange(len(parts))
    last = sheet.rng.randint(first + 1, len(parts))
    runs = (parts[:first], parts[first:last], parts[last:])
    other = sheet.rng.choice(sheet.family[1:])
    pieces = []
    for number, run in enumerate(runs):
        space = " " if run and any(runs[number + 1 :]) else ""
        pieces.append(Piece(" ".join(run) + space, other if number == 1 else sheet.face))
    return pieces


def cut_to_width(text: str, width: float, face: str, size: int) -> str:
    """Drop words, then letters, until a line is not wider than `width`."""
    while " " in text and text_width(text, face, size) > width:
        text = text.rpartition(" ")[0]
    while text and text_width(text, face, size) > width:
        text = text[:-1]
    return text


def paragraph(sheet: Sheet) -> None:
    """Write some lines of running text, the last one shorter."""
    count = sheet.rng.randint(1, 6)
    widest = max(sheet.family, key=lambda face: text_width("m" * 8 + "i" * 8, face, sheet.size))
    for number in range(count):
        if not sheet.fits(sheet.size):
            return
        room = (sheet.right - sheet.left) * (
            1.0 if number + 1 < count else sheet.rng.uniform(0.2, 1)
        )
        text = cut_to_width(
            fill_line(sheet.rng, room, widest, sheet.size), room, widest, sheet.size
        )
        sheet.line(mix_faces(sheet, text), sheet.size, sheet.ink, sheet.left)


def listing(sheet: Sheet) -> None:
    """List items with a dash, a star or a number in front."""
    form = sheet.rng.choice(["- ", "- ", "* ", "{}. ", "{}. ", "{}) "])
    indent = sheet.rng.choice([0, 0, sheet.size])
    for number in range(1, sheet.rng.randint(2, 6)):
        if not sheet.fits(sheet.size):
            return
        mark = form.format(number)
        room = sheet.right - sheet.left - indent - text_width(mark, sheet.face, sheet.size)
        text = fill_line(sheet.rng, room * sheet.rng.uniform(0.3, 1), sheet.face, sheet.size)
        if text:
            piece = Piece(mark + text, sheet.face)
            sheet.line([piece], sheet.size, sheet.ink, sheet.left + indent)


def fields(sheet: Sheet) -> None:
    """Write names with values beside them, close by, below each other, or at the right edge."""
    rng, size = sheet.rng, sheet.size
    layout = rng.choice(["close", "column", "right"])
    bold = rng.choice(sheet.family)
    half = (sheet.right - sheet.left) / 2
    for _ in range(rng.randint(2, 5)):
        if not sheet.fits(size):
            return
        name = cut_to_width(words.plain(rng).capitalize(), half - 2 * size, bold, size)
        value = cut_to_width(fill_line(rng, half, sheet.face, size), half - 4, sheet.face, size)
        if not name or not value:
            return
        name += rng.choice([":", ":", ""]) + " "
        right = round(sheet.right - text_width(value, sheet.face, size))
        x = {"close": None, "column": round(sheet.left + half), "right": right}[layout]
        pieces = [Piece(name, bold), Piece(value, sheet.face, x)]
        sheet.line(pieces, size, sheet.ink, sheet.left)


def grid(sheet: Sheet) -> None:
    """Draw a table: with all rules, with rules between rows, or with one below its head."""
    rng, size = sheet.rng, sheet.size
    tall = round(size * rng.uniform(1.4, 2.0))
    room = (sheet.canvas.image.height - sheet.y - 4) // tall
    columns = min(rng.randint(2, 5), (sheet.right - sheet.left) // (size * 3))
    if room < 2 or columns < 2:
        return
    rows = rng.randint(2, min(8, room))
    borders = edges(rng, sheet.left, sheet.right, columns)
    top, head = sheet.y, rng.choice(sheet.family)
    sides = [top + row * tall for row in range(rows + 1)]
    ruled = rng.choice([sides, sides[1:], sides[1:2]])
    ink = (rng.choice([90, 120, 160]),) * 3
    cells: list[list[str]] = []
    starts: list[list[int]] = []
    sheet.begin()
    for row, side in enumerate(sides[:-1]):
        face = sheet.face if row else head
        y = side + round((tall - size * 1.2) / 2)
        cells.append([])
        starts.append([])
        for left, right in pairwise(borders):
            text = fitting_cell(rng, right - left - 8, face, size)
            cells[-1].append(text)
            starts[-1].append(sheet.write(text, left + 4, y, face, size, sheet.ink))
        sheet.lines += 1
    rule(sheet.canvas, borders, ruled, ink, upright=ruled is sides)
    write_markdown_table(sheet.script, cells, starts)
    sheet.y = sides[-1] + 2


def document(rng: Random, width: int, height: int) -> Sample:
    """Draw a page of sections of every kind, as far as they fit."""
    sheet = Sheet(rng, width, height)
    stop = rng.choice([0.0, 0.0, 0.15])
    if rng.random() < 0.7:
        heading(sheet)
        sheet.pause()
    while sheet.fits(sheet.size) and (not sheet.lines or rng.random() >= stop):
        section = rng.choices([paragraph, listing, fields, grid, heading], [35, 14, 15, 24, 12])[0]
        section(sheet)
        sheet.pause()
    turn = sheet.script.turn(prompts.reading(rng))
    return Sample(augment.add_defects(rng, sheet.canvas.image), [turn], sheet.canvas.glyphs)


def slide(rng: Random, width: int, height: int) -> Sample:
    """Draw a headline of large type above lists and text of the usual sizes."""
    sheet = Sheet(rng, width, height)
    sheet.size = rng.randint(18, max(18, min(40, width // 20)))
    headline(sheet, rng.randint(40, max(40, min(90, height // 4, width // 8))))
    sheet.pause()
    for _ in range(rng.randint(1, 4)):
        rng.choice([listing, paragraph, fields])(sheet)
        sheet.pause()
    turn = sheet.script.turn(prompts.reading(rng))
    return Sample(augment.add_defects(rng, sheet.canvas.image), [turn], sheet.canvas.glyphs)

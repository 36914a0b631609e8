"""Draws tables of which most have no rules: as tables where one is asked for, else as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.data import augment, entries, prompts, words
from demo.data.documents import Piece, Sheet, cut_to_width
from demo.data.drawing import text_width
from demo.data.scenes import Sample, fill_line
from demo.data.tables import edges, rule, write_markdown_table

if TYPE_CHECKING:
    from random import Random

    from demo.data.scenes import Script, Vocabulary

#: Columns from which on a strict instruction finds a table; two may be a receipt or a form.
FEWEST = 3


def whole(rng: Random) -> str:
    """Write a small number."""
    return str(rng.randint(0, 10 ** rng.randint(1, 4)))


def name(rng: Random) -> str:
    """Write one or two words with a capital letter in front."""
    text = words.plain(rng).capitalize()
    return f"{text} {words.plain(rng)}" if rng.random() < 0.3 else text


#: What a column holds, and whether that stands at its right edge.
_KINDS: tuple[tuple[Vocabulary, bool], ...] = (
    (name, False),
    (name, False),
    (words.plain, False),
    (entries.thin, False),
    (entries.reference, False),
    (entries.day, False),
    (whole, True),
    (entries.grouped, True),
    (entries.amount, True),
    (entries.amount, True),
    (entries.money, True),
    (entries.share, True),
)


class Table:
    """Cells in columns that line up, on a sheet; wide gaps show where columns end."""

    def __init__(self, sheet: Sheet, columns: int, rows: int, tall: int, *, ruled: bool) -> None:
        self.sheet, self.tall, self.ruled = sheet, tall, ruled
        self.borders = edges(sheet.rng, sheet.left, sheet.right, columns)
        kinds = [sheet.rng.choice(_KINDS) for _ in range(columns)]
        kinds[0] = sheet.rng.choice(_KINDS[:6])
        self.cells: list[list[str]] = []
        self.starts: list[list[int]] = []
        self.top = sheet.y
        head, headed = sheet.rng.choice(sheet.family), sheet.rng.random() < 0.75
        for row in range(rows):
            self.write(kinds, head if headed and not row else "")
        if ruled:
            self.rule(rows)
        sheet.y += round(sheet.size * 0.3)

    def write(self, kinds: list[tuple[Vocabulary, bool]], head: str) -> None:
        """Write one row, the names of the columns if there is a face for a head."""
        sheet, size = self.sheet, self.sheet.size
        face, gap = head or sheet.face, 4 if self.ruled else size
        y = sheet.y + round((self.tall - size * 1.2) / 2)
        row, starts = [], []
        for number, (make, right) in enumerate(kinds):
            left, end = self.borders[number] + 4, self.borders[number + 1] - gap
            text = words.plain(sheet.rng).capitalize() if head else make(sheet.rng)
            text = cut_to_width(text, end - left, face, size).strip()
            x = end - round(text_width(text, face, size)) if right else left
            starts.append(sheet.write(text, x, y, face, size, sheet.ink))
            row.append(text)
        self.cells.append(row)
        self.starts.append(starts)
        sheet.lines += 1
        sheet.y += self.tall

    def rule(self, rows: int) -> None:
        """Draw all rules, those between rows, or one below the head."""
        sides = [self.top + row * self.tall for row in range(rows + 1)]
        chosen = self.sheet.rng.choice([sides, sides[1:], sides[1:2]])
        ink = (self.sheet.rng.choice([90, 120, 160]),) * 3
        rule(self.sheet.canvas, self.borders, chosen, ink, upright=chosen is sides)

    def tell(self, script: Script, *, marked: bool) -> None:
        """Append the cells to a transcript: as Markdown, or a line for each row."""
        if marked:
            write_markdown_table(script, self.cells, self.starts)
            return
        for number, (row, starts) in enumerate(zip(self.cells, self.starts, strict=True)):
            for place, (text, start) in enumerate(zip(row, starts, strict=True)):
                script.mark(" " if place else "\n" if number else "")
                script.read(text, start)


def _title(sheet: Sheet, tall: int) -> None:
    if sheet.rng.random() < 0.3 and sheet.fits(sheet.size + 3 * tall):
        room = (sheet.right - sheet.left) * sheet.rng.uniform(0.2, 0.9)
        text = fill_line(sheet.rng, room, sheet.face, sheet.size)
        sheet.line([Piece(text, sheet.face)], sheet.size, sheet.ink, sheet.left)
        sheet.pause()


def table(rng: Random, width: int, height: int) -> Sample:
    """Draw a table of three to five columns, most without rules.

    It is told as Markdown where it has rules, and where the question asks for tables; else each row
    is a line.
    """
    sheet = Sheet(rng, width, height)
    sheet.resize()
    columns = max(2, min(rng.randint(FEWEST, 5), (sheet.right - sheet.left) // (sheet.size * 4)))
    tall = round(sheet.size * rng.uniform(1.25, 2.0))
    _title(sheet, tall)
    rows = max(2, min(rng.randint(2, 14), (height - sheet.y - 2) // tall))
    ruled = rng.random() < 0.2
    wanted = rng.random() < 0.65
    drawn = Table(sheet, columns, rows, tall, ruled=ruled)
    strict = columns >= FEWEST and rng.random() < 0.6
    sheet.script.mark("\n" if sheet.script.parts else "")
    drawn.tell(sheet.script, marked=ruled or wanted)
    turn = sheet.script.turn(_question(rng, wanted=wanted, strict=strict))
    return Sample(augment.add_defects(rng, sheet.canvas.image), [turn], sheet.canvas.glyphs)


def _question(rng: Random, *, wanted: bool, strict: bool) -> str:
    if strict:
        return prompts.instructions(rng, tables=wanted)
    return rng.choice(prompts.TABLE) if wanted else prompts.reading(rng)

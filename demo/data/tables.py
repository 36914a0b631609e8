"""Draws ruled tables, read as Markdown, and receipts, read line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.data import augment, fonts, prompts, words
from demo.data.drawing import Canvas, Colour, text_width
from demo.data.scenes import Sample, Script, Turn, colours, read_lines

if TYPE_CHECKING:
    from random import Random


def cell(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.5:
        return words.plain(rng).capitalize() if rng.random() < 0.5 else words.plain(rng)
    if kind < 0.7:
        return str(rng.randint(0, 10 ** rng.randint(1, 4)))
    return words.price(rng) if kind < 0.9 else words.clock(rng)


def fitting_cell(rng: Random, width: float, face: str, size: int) -> str:
    """Draw a cell's text, cut to `width` pixels."""
    text = cell(rng)
    while text and text_width(text, face, size) > width:
        text = text[:-1]
    return text


def write_markdown_table(script: Script, rows: list[list[str]], starts: list[list[int]]) -> None:
    """Append cells as a Markdown table; the glyphs of a cell begin at `starts`."""
    for number, (row, begins) in enumerate(zip(rows, starts, strict=True)):
        if number:
            script.mark("\n")
        for text, begin in zip(row, begins, strict=True):
            script.mark("| ")
            script.read(text, begin)
            script.mark(" ")
        script.mark("|")
        if number == 0:
            script.mark("\n|" + "---|" * len(row))


def table(rng: Random, width: int, height: int) -> Sample:
    """Draw a ruled table of two to five rows and two to four columns, as far as they fit."""
    face, size = rng.choice(fonts.available()), rng.randint(14, max(15, min(28, height // 4)))
    background, ink = colours(rng)
    canvas = Canvas.blank(width, height, background)
    tall = round(size * rng.uniform(1.4, 2.0))
    rows = max(2, min(rng.randint(2, 6), (height - 8) // tall))
    columns = max(2, min(rng.randint(2, 4), (width - 8) // (size * 3)))
    left, top = rng.randint(2, 8), rng.randint(1, max(2, height - rows * tall - 4))
    borders = edges(rng, left, width - rng.randint(3, 8), columns)
    cells: list[list[str]] = []
    starts: list[list[int]] = []
    for row in range(rows):
        y = top + row * tall + round((tall - size * 1.2) / 2)
        cells.append([])
        starts.append([])
        for column in range(columns):
            text = fitting_cell(rng, borders[column + 1] - borders[column] - 8, face, size)
            starts[-1].append(len(canvas.glyphs))
            cells[-1].append(text)
            canvas.write(text, borders[column] + 4, y, face, size, ink, row)
    grey = (rng.choice([120, 90, 160]),) * 3
    thick = rng.choice([1, 1, 2])
    sides = [top + row * tall for row in range(rows + 1)]
    rule(canvas, borders, sides, grey, thick, upright=rng.random() < 0.8)
    script = Script()
    write_markdown_table(script, cells, starts)
    turn = script.turn(prompts.reading(rng))
    return Sample(augment.add_defects(rng, canvas.image), [turn], canvas.glyphs)


def edges(rng: Random, left: int, right: int, columns: int) -> list[int]:
    """Borders of the columns in pixels, about evenly spaced."""
    even = (right - left) / columns
    inner = [round(left + even * (n + rng.uniform(-0.12, 0.12))) for n in range(1, columns)]
    return [left, *inner, right]


def rule(
    canvas: Canvas,
    columns: list[int],
    rows: list[int],
    ink: Colour,
    thick: int = 1,
    *,
    upright: bool,
) -> None:
    """Draw the horizontal lines of a table at `rows`, and if wanted the upright ones."""
    for y in rows:
        canvas.pen.line((columns[0], y, columns[-1], y), fill=ink, width=thick)
    for x in columns if upright else ():
        canvas.pen.line((x, rows[0], x, rows[-1]), fill=ink, width=thick)


def receipt(rng: Random, width: int, height: int) -> Sample:
    """Names at the left, prices at the right edge; reads the text, then asks for the total."""
    face, size = rng.choice(fonts.available()), rng.randint(14, max(15, min(28, height // 5)))
    background, ink = colours(rng)
    canvas = Canvas.blank(width, height, background)
    left, step = rng.randint(3, 16), round(size * rng.uniform(1.25, 1.7))
    rows = max(3, min(rng.randint(3, 9), (height - 4) // step))
    items = [(words.cased(rng), words.price(rng)) for _ in range(rows - 2)]
    items.append((rng.choice(["Total", "TOTAL", "Sum"]), words.price(rng)))
    lines, starts = [words.cased(rng)[: width // size]], [0]
    y = rng.randint(0, max(1, height - rows * step))
    canvas.write(lines[0], left, y, face, size, ink)
    for number, (wanted, price) in enumerate(items, start=1):
        right = width - left - round(text_width(price, face, size))
        name = longest_fitting(wanted, right - left - size, face, size)
        starts.append(len(canvas.glyphs))
        canvas.write(f"{name} ", left, y + number * step, face, size, ink, number)
        canvas.write(price, right, y + number * step, face, size, ink, number)
        lines.append(f"{name} {price}")
    turns = [read_lines(prompts.reading(rng), lines, starts)]
    if rng.random() < 0.5:
        turns.append(_total(rng, items[-1][1], len(canvas.glyphs)))
    return Sample(augment.add_defects(rng, canvas.image), turns, canvas.glyphs)


def longest_fitting(text: str, width: float, face: str, size: int) -> str:
    """Find the longest beginning that fits into `width` pixels, one character at least."""
    while len(text) > 1 and text_width(text, face, size) > width:
        text = text[:-1]
    return text


def _total(rng: Random, price: str, glyphs: int) -> Turn:
    script = Script()
    script.read(price, glyphs - len(price))
    return script.turn(rng.choice(prompts.TOTAL)[rng.random() < 0.3])

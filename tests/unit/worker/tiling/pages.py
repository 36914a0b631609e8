"""Random long pages with known text: where each line lies is part of what is drawn."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import numpy as np
from PIL import Image, ImageFont

from demo.data import augment, fonts, words
from demo.data.drawing import Canvas, Colour, text_width
from demo.data.scenes import colours

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class Line:
    """A line of text or a row of a table: its words (or cells), and the ink of each letter."""

    words: list[str]
    letters: list[list[Box]]
    table: bool = False

    @property
    def boxes(self) -> list[Box]:
        """Where the ink of each word lies."""
        return [_around(boxes) for boxes in self.letters]


def _around(boxes: list[Box]) -> Box:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _letter(font: ImageFont.FreeTypeFont, word: str, number: int, x: float, y: float) -> Box:
    start = x + font.getlength(word[:number])
    left, top, right, bottom = font.getbbox(word[number])
    return start + left, y + top, start + right, y + bottom


@dataclass(slots=True)
class Page:
    """An image with its lines in reading order, and the budget of a tile."""

    kind: str
    image: Image.Image
    lines: list[Line]
    budget: int


@dataclass(slots=True)
class Sheet:
    """A page under construction."""

    rng: Random
    width: int
    height: int
    background: Colour
    ink: Colour
    canvas: Canvas = field(init=False)
    lines: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.canvas = Canvas.blank(self.width, self.height, self.background)

    def write(self, text: str, x: int, y: int, face: str, size: int) -> Line:
        """Draw words and note the boxes of their ink."""
        line = Line(text.split(), [])
        for word in line.words:
            font = fonts.load(face, size)
            self.canvas.pen.text((x, y), word, font=font, fill=self.ink)
            line.letters.append([_letter(font, word, n, x, y) for n in range(len(word))])
            x = round(x + text_width(f"{word} ", face, size))
        return line

    def add(self, text: str, x: int, y: int, face: str, size: int) -> None:
        self.lines.append(self.write(text, x, y, face, size))


def filled(rng: Random, width: float, face: str, size: int) -> str:
    """Words that fill a line as running text does."""
    text = words.token(rng)[: max(1, int(width / size))]
    while True:
        longer = f"{text} {words.token(rng)}"
        if text_width(longer, face, size) > width:
            return text
        text = longer


def _sheet(rng: Random, width: int, height: int, dark: bool | None = None) -> Sheet:
    background, ink = colours(rng)
    while dark is not None and dark != (sum(background) < sum(ink)):
        background, ink = colours(rng)
    return Sheet(rng, width, height, background, ink)


def screenshot(rng: Random, dark: bool | None = None) -> Page:
    """Paragraphs, headings, cards with borders; sometimes grey text and a gradient."""
    sheet = _sheet(rng, rng.randint(360, 720), rng.randint(1500, 5000), dark)
    if rng.random() < 0.3:
        _gradient(sheet)
    face, size = rng.choice(fonts.available()), rng.randint(14, 26)
    y, spacing = rng.randint(4, 40), rng.uniform(1.2, 1.7)
    while y + 3 * size < sheet.height:
        if rng.random() < 0.1:
            y += round(size * rng.uniform(0.5, 4))
        big = rng.random() < 0.06
        tall = round(size * rng.uniform(1.3, 2)) if big else size
        if y + 2 * tall >= sheet.height:
            break
        width = (sheet.width - 40) * (rng.random() if rng.random() < 0.3 else 1)
        sheet.add(filled(rng, max(width, 4 * tall), face, tall), 20, y, face, tall)
        y += round(tall * spacing)
    if rng.random() < 0.5:
        _cards(sheet, size)
    return _page("dark" if dark else "screenshot", sheet)


def _gradient(sheet: Sheet) -> None:
    ramp = np.linspace(-25, 25, sheet.height)[:, None, None]
    base = np.asarray(sheet.canvas.image, dtype=np.float32)
    image = Image.fromarray(np.clip(base + ramp, 0, 255).astype(np.uint8))
    sheet.canvas.image.paste(image)


def _cards(sheet: Sheet, size: int) -> None:
    """Draw frames around stretches of the page, between lines."""
    top = 2
    while top < sheet.height - 8 * size:
        bottom = min(sheet.height - 3, top + sheet.rng.randint(10, 60) * size)
        colour = tuple((a + b) // 2 for a, b in zip(sheet.background, sheet.ink, strict=True))
        for x in (6, sheet.width - 7):
            sheet.canvas.pen.line((x, top, x, bottom), fill=colour, width=sheet.rng.choice([1, 2]))
        top = bottom + 2 * size


def receipt(rng: Random) -> Page:
    """Names at the left, prices at the right, some of them alike."""
    rows = rng.randint(60, 200)
    face, size = rng.choice(fonts.available()), rng.randint(14, 22)
    step = round(size * rng.uniform(1.2, 1.6))
    sheet = _sheet(rng, rng.randint(300, 460), rows * step + 60)
    repeated = f"{words.cased(rng)} {words.price(rng)}"
    for number in range(rows):
        text = f"{words.cased(rng)} {words.price(rng)}" if rng.random() < 0.7 else repeated
        *name, price = text.split()
        y = 30 + number * step
        left = sheet.write(" ".join(name)[: sheet.width // size - 4], 16, y, face, size)
        x = sheet.width - 16 - math.ceil(text_width(price, face, size))
        right = sheet.write(price, x, y, face, size)
        sheet.lines.append(Line(left.words + right.words, left.letters + right.letters))
    return _page("receipt", sheet)


def columns(rng: Random) -> Page:
    """Pages of a heading over two or three columns of running text, not on one grid."""
    count, pages = rng.choice([2, 2, 3]), rng.choice([1, 1, 2])
    width, tall = rng.randint(300, 420) * count, rng.randint(1100, 2200)
    face, size = rng.choice(fonts.available()), rng.randint(14, 20)
    sheet = _sheet(rng, width, tall * pages)
    gutter = rng.randint(2 * size, 3 * size)
    wide = (width - 40 - gutter * (count - 1)) // count
    for page in range(pages):
        top = page * tall + 20
        sheet.add(filled(rng, width - 40, face, 2 * size), 20, top, face, 2 * size)
        for column in range(count):
            y = top + 3 * size + rng.randint(0, size)
            step = round(size * rng.uniform(1.2, 1.5))
            while y + 6 * size < (page + 1) * tall:
                short = rng.random() < 0.08
                text = filled(rng, wide * (0.5 if short else 1), face, size)
                sheet.add(text, 20 + column * (wide + gutter), y, face, size)
                y += step
    return _page("columns", sheet)


def table(rng: Random) -> Page:
    """One table, longer than a tile, between lines of text; ruled fully, across, or not at all."""
    face, size = rng.choice(fonts.available()), rng.randint(14, 20)
    rows, count = rng.randint(40, 90), rng.randint(2, 4)
    tall = round(size * rng.uniform(1.5, 2))
    sheet = _sheet(rng, rng.randint(420, 640), (rows + 12) * tall)
    edges = [12 + n * (sheet.width - 24) // count for n in range(count + 1)]
    y = tall
    for _ in range(3):
        sheet.add(filled(rng, sheet.width - 40, face, size), 16, y, face, size)
        y += tall
    top = y = y + tall
    for _ in range(rows):
        row = Line([], [], table=True)
        for left, right in pairwise(edges):
            text = words.plain(rng) if rng.random() < 0.5 else words.number(rng)
            while text_width(text, face, size) > right - left - 16:
                text = text[:-1]
            cell = sheet.write(text, left + 8, y + (tall - size) // 2 - 1, face, size)
            row.words += cell.words
            row.letters += cell.letters
        sheet.lines.append(row)
        y += tall
    _rules(sheet, edges, list(range(top, y + 1, tall)))
    y += 2 * tall
    while y + 2 * tall < sheet.height:
        sheet.add(filled(rng, sheet.width - 40, face, size), 16, y, face, size)
        y += tall
    return _page("table", sheet)


def _rules(sheet: Sheet, edges: list[int], borders: list[int]) -> None:
    colour = tuple((a + b) // 2 for a, b in zip(sheet.background, sheet.ink, strict=True))
    kind = sheet.rng.choice(["full", "full", "across", "none"])
    thick = sheet.rng.choice([1, 1, 2])
    for y in borders if kind != "none" else []:
        sheet.canvas.pen.line((edges[0], y, edges[-1], y), fill=colour, width=thick)
    for x in edges if kind == "full" else []:
        line = (x, borders[0], x, borders[-1])
        sheet.canvas.pen.line(line, fill=colour, width=thick)


def on_the_cut(rng: Random) -> Page:
    """Sparse lines, one of them just where the page would be cut evenly."""
    width, height = rng.randint(360, 640), rng.randint(1200, 3000)
    sheet = _sheet(rng, width, height)
    face, size = rng.choice(fonts.available()), rng.randint(16, 36)
    pieces = rng.randint(2, 5)
    places = {round(height * n / pieces) - size * 2 // 3 for n in range(1, pieces)}
    places |= {p + rng.choice([-1, 1]) * round(size * 1.25) for p in places}
    for y in sorted(places):
        sheet.add(filled(rng, width - 40, face, size), 20, y, face, size)
    page = _page("line on the cut", sheet)
    page.budget = width * math.ceil(height / pieces / 0.92)
    return page


def skewed(rng: Random) -> Page:
    """A scan that lies askew, so that no row is free of ink."""
    face, size = rng.choice(fonts.available()), rng.randint(16, 22)
    sheet = _sheet(rng, rng.randint(600, 800), rng.randint(1500, 3000), dark=False)
    y = 60
    step = round(size * rng.uniform(1.2, 1.4))
    while y + 80 < sheet.height:
        sheet.add(filled(rng, sheet.width - 120, face, size), 60, y, face, size)
        y += step
    return _askew(_page("skewed", sheet), sheet)


def _askew(page: Page, sheet: Sheet) -> Page:
    angle = sheet.rng.choice([-1, 1]) * sheet.rng.uniform(0.5, 2)
    page.image = sheet.canvas.image.rotate(
        angle, Image.Resampling.BICUBIC, fillcolor=sheet.background
    )
    for line in page.lines:
        line.letters = [
            [_turned(b, sheet.canvas.image.size, angle) for b in w] for w in line.letters
        ]
    return page


def _turned(box: Box, size: tuple[int, int], angle: float) -> Box:
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    middle_x, middle_y = size[0] / 2, size[1] / 2
    corners = [(x - middle_x, y - middle_y) for x in box[::2] for y in box[1::2]]
    turned = [(x * cos + y * sin + middle_x, y * cos - x * sin + middle_y) for x, y in corners]
    xs, ys = zip(*turned, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def log(rng: Random) -> Page:
    """Lines of the same forty words, some of them equal; every other page lies askew."""
    face, size = rng.choice(fonts.available()), rng.randint(16, 22)
    vocabulary = [words.plain(rng) for _ in range(40)]
    sheet = _sheet(rng, rng.randint(500, 800), rng.randint(1200, 2400), dark=False)
    y, step, text = 60, round(size * rng.uniform(1.2, 1.5)), ""
    while y + 80 < sheet.height:
        if not text or rng.random() > 0.15:
            text = _sentence(rng, vocabulary, sheet.width - 120, face, size)
        sheet.add(text, 60, y, face, size)
        y += step
    page = _page("log", sheet)
    return _askew(page, sheet) if rng.random() < 0.5 else page


def _sentence(rng: Random, vocabulary: list[str], width: float, face: str, size: int) -> str:
    text = rng.choice(vocabulary)
    while text_width(longer := f"{text} {rng.choice(vocabulary)}", face, size) <= width:
        text = longer
    return text


def panorama(rng: Random) -> Page:
    """Signs beside each other, each with lines of its own, or lines that run through all."""
    face, size = rng.choice(fonts.available()), rng.randint(18, 40)
    height, rows = rng.randint(120, 300), rng.choice([1, 1, 2, 3])
    sheet = _sheet(rng, rng.randint(10, 20) * height, height)
    rows = min(rows, height // (2 * size)) or 1
    step = round(size * 1.6)
    if rng.random() < 0.5:
        for row in range(rows):
            text = filled(rng, sheet.width - 60, face, size)
            sheet.add(text, 20, 10 + row * step, face, size)
        return _page("panorama", sheet, least=6 * height**2)
    x = 20
    while x + 14 * size < sheet.width:
        wide = rng.randint(6, 12) * size
        for row in range(rows):
            sheet.add(filled(rng, wide, face, size), x, 10 + row * step, face, size)
        x += wide + 4 * size
    return _page("signs", sheet)


def _page(kind: str, sheet: Sheet, least: int = 60_000) -> Page:
    rng, image = sheet.rng, sheet.canvas.image
    if rng.random() < 0.25:
        image = augment.noise(rng, image)
    if rng.random() < 0.3:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=rng.randint(40, 90))
        image = Image.open(buffer).convert("RGB")
    budget = round(image.width * image.height / rng.uniform(2.5, 8))
    return Page(kind, image, sheet.lines, max(budget, least))


KINDS = (
    screenshot,
    lambda rng: screenshot(rng, dark=True),
    receipt,
    columns,
    table,
    on_the_cut,
    skewed,
    panorama,
)


#: Pages of repeated words, which were drawn last.
FIRST_LOG = 1_000_000


def draw(number: int) -> Page:
    """Draw page `number`; the kinds take turns, and from FIRST_LOG on all are logs."""
    kind = log if number >= FIRST_LOG else KINDS[number % len(KINDS)]
    return kind(Random(f"tiling:{number}"))

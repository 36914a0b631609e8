"""Draws known text and shapes, and records the position of every character."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from PIL import Image, ImageDraw

from demo.data import fonts

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
INK: Colour = (20, 20, 20)


@dataclass(frozen=True, slots=True)
class Glyph:
    """One drawn character: its centre in pixels and its place in the text."""

    char: str
    x: float
    y: float
    line: int
    column: int


@dataclass(slots=True)
class Canvas:
    """An image under construction and the characters drawn on it so far."""

    image: Image.Image
    pen: ImageDraw.ImageDraw
    glyphs: list[Glyph] = field(default_factory=list)

    @classmethod
    def blank(cls, width: int, height: int, background: Colour = WHITE) -> Canvas:
        """Begin an image of one colour; sizes in pixels."""
        image = Image.new("RGB", (width, height), background)
        return cls(image, ImageDraw.Draw(image))

    def write(
        self,
        text: str,
        x: int,
        y: int,
        face: str,
        size: int,
        ink: Colour = INK,
        line: int = 0,
        column: int = 0,
    ) -> None:
        """Draw a line, or from `column` on, with its top left corner at (x, y); note its glyphs."""
        self.pen.text((x, y), text, font=fonts.load(face, size), fill=ink)
        middle = y + x_height_middle(face, size)
        places = zip(text, centres(text, face, size), strict=True)
        for number, (char, centre) in enumerate(places, start=column):
            self.glyphs.append(Glyph(char, x + centre, middle, line, number))


@lru_cache(maxsize=100_000)
def advance(char: str, face: str, size: int) -> float:
    """Width of one character in pixels."""
    return fonts.load(face, size).getlength(char)


@lru_cache(maxsize=1024)
def x_height_middle(face: str, size: int) -> float:
    """Distance in pixels from a line's top to the middle of its small letters."""
    _, top, _, bottom = fonts.load(face, size).getbbox("x")
    return (top + bottom) / 2


def text_width(text: str, face: str, size: int) -> float:
    """Width of a line in pixels, without kerning (never narrower than what is drawn)."""
    return sum(advance(char, face, size) for char in text)


def centres(text: str, face: str, size: int) -> list[float]:
    """Horizontal centre of each character in pixels from the line's start."""
    plain = text_width(text, face, size)
    kerning = fonts.load(face, size).getlength(text) / plain if plain else 1.0
    positions, start = [], 0.0
    for char in text:
        width = advance(char, face, size) * kerning
        positions.append(start + width / 2)
        start += width
    return positions


def draw_lines(
    lines: list[str],
    *,
    size: int = 24,
    font: str = fonts.PILLOW,
    width: int | None = None,
    height: int | None = None,
    margin: int = 12,
    spacing: float = 1.35,
    ink: Colour = INK,
    background: Colour = WHITE,
) -> Image.Image:
    """Draw `lines` below each other; sizes in pixels, by default as large as the text."""
    step = round(size * spacing)
    widest = max((text_width(line, font, size) for line in lines), default=0)
    canvas = Canvas.blank(
        width or round(widest) + 2 * margin, height or step * len(lines) + 2 * margin, background
    )
    for number, line in enumerate(lines):
        canvas.write(line, margin, margin + number * step, font, size, ink, number)
    return canvas.image


def draw_receipt(
    title: str,
    items: list[tuple[str, str]],
    total: str,
    *,
    size: int = 22,
    font: str = fonts.PILLOW,
    width: int = 352,
) -> tuple[Image.Image, str]:
    """Draw a till receipt, prices at the right edge; returns the image and the text to be read."""
    rows = [*items, ("Total", total)]
    step, margin = round(size * 1.5), 16
    canvas = Canvas.blank(width, step * (len(rows) + 1) + 2 * margin)
    canvas.write(title, margin, margin, font, size)
    for number, (name, price) in enumerate(rows, start=1):
        y = margin + number * step
        canvas.write(name, margin, y, font, size, line=number)
        right = width - margin - round(text_width(price, font, size))
        canvas.write(price, right, y, font, size, line=number)
    return canvas.image, "\n".join([title, *(f"{name} {price}" for name, price in rows)])

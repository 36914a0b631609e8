"""Drawn pages for the second reader: their lines are known."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from demo.data import fonts, words

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Drawn:
    """An image and the lines on it, in reading order."""

    image: Image.Image
    lines: list[str]
    boxes: list[tuple[int, int, int, int]]


def line_of(rng: Random, vocabulary: list[str] | None, width: float, face: str, size: int) -> str:
    """Return words that fill a line, of a vocabulary or at random."""

    def word() -> str:
        return rng.choice(vocabulary) if vocabulary else plain_word(rng)

    font, text = fonts.load(face, size), word()
    while font.getlength(longer := f"{text} {word()}") <= width:
        text = longer
    return text


def plain_word(rng: Random) -> str:
    """Return a word, a price or a date as documents have them."""
    kind = rng.random()
    if kind < 0.1:
        return words.price(rng)
    return words.date(rng) if kind < 0.15 else words.plain(rng)


def page(
    number: int,
    count: int,
    *,
    size: int = 20,
    width: int = 900,
    repetitive: bool = False,
    face: str = fonts.PILLOW,
    ink: Colour = (0, 0, 0),
    ground: Colour = (255, 255, 255),
) -> Drawn:
    """Draw a page of `count` lines; a `repetitive` one has the same forty words on every line."""
    rng = Random(f"reader:{number}:{count}:{size}")
    vocabulary = [plain_word(rng) for _ in range(40)] if repetitive else None
    pitch, left, top = round(1.5 * size), 2 * size, 2 * size
    image = Image.new("RGB", (width, 2 * top + count * pitch), ground)
    pen, lines, boxes = ImageDraw.Draw(image), [], []
    for row in range(count):
        text = line_of(rng, vocabulary, width - 2 * left, face, size)
        place = (left, top + row * pitch)
        pen.text(place, text, font=fonts.load(face, size), fill=ink)
        lines.append(text)
        box = pen.textbbox(place, text, font=fonts.load(face, size))
        boxes.append(tuple(round(edge) for edge in box))
    return Drawn(image, lines, boxes)

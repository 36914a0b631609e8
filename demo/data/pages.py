"""Drawn pages that are easily lost: many long lines, few different words, logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.data import augment, entries, fonts, prompts, words
from demo.data.drawing import Canvas, advance, text_width
from demo.data.scenes import Sample, colours, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from demo.data.scenes import Vocabulary

    #: Writes the text of a line by its number, as wide as the page or narrower.
    Writer = Callable[[int], str]

_LEVELS = ("INFO", "WARN", "ERROR", "DEBUG", "[info]", "[warn]")


class Column:
    """Even lines of one face and size below each other, from the top of a page to its end."""

    def __init__(self, rng: Random, width: int, height: int) -> None:
        self.rng = rng
        self.face = rng.choice(fonts.available())
        self.spacing = rng.uniform(1.15, 1.6)
        fewest = max(2, min(60, int(height / (28 * self.spacing))))
        most = max(fewest, min(62, int(height / (13 * self.spacing))))
        lines = max(rng.randint(fewest, most), rng.randint(fewest, most))
        self.size = max(12, min(28, int(height / (lines * self.spacing))))
        self.background, self.ink = colours(rng)
        self.canvas = Canvas.blank(width, height, self.background)
        self.left = rng.randint(2, max(2, min(40, width // 12)))
        self.room = width - self.left - rng.randint(3, max(3, min(40, width // 12)))

    def fill(self, vocabulary: Vocabulary) -> str:
        """Fill one line with words, rarely only a part of it."""
        room = self.room * (self.rng.uniform(0.2, 1) if self.rng.random() < 0.15 else 1)
        pieces, wide = [], -advance(" ", self.face, self.size)
        while (wide := wide + self.width(" " + (word := vocabulary(self.rng)))) <= room:
            pieces.append(word)
        return " ".join(pieces)

    def width(self, text: str) -> float:
        """Width of a text in pixels."""
        return text_width(text, self.face, self.size)

    def cut(self, text: str) -> str:
        """Drop the end of a text that is wider than a line."""
        wide = 0.0
        for place, char in enumerate(text):
            wide += advance(char, self.face, self.size)
            if wide > self.room:
                return text[:place].rstrip()
        return text

    def read(self, write: Writer) -> Sample:
        """Draw the page and ask to read it."""
        rng, step = self.rng, round(self.size * self.spacing)
        stop = rng.choice([0.0, 0.0, 0.03])
        y = rng.randint(0, step)
        lines: list[str] = []
        starts: list[int] = []
        while y + self.size * 1.2 <= self.canvas.image.height and len(lines) < 62:
            if text := write(len(lines)):
                starts.append(len(self.canvas.glyphs))
                self.canvas.write(text, self.left, y, self.face, self.size, self.ink, len(lines))
                lines.append(text)
            y += step + (step if rng.random() < 0.02 else 0)
            if lines and rng.random() < stop:
                break
        turns = [read_lines(prompts.reading(rng), lines, starts)]
        return Sample(augment.add_defects(rng, self.canvas.image), turns, self.canvas.glyphs)


def dense(rng: Random, width: int, height: int) -> Sample:
    """Draw a page of many long lines."""
    column = Column(rng, width, height)
    vocabulary = rng.choice([words.token, words.plain, entries.mixed])
    return column.read(lambda _: column.fill(vocabulary))


def repeated(rng: Random, width: int, height: int) -> Sample:
    """Draw a page of few different words again and again, some lines several times."""
    column = Column(rng, width, height)
    vocabulary = rng.choice([words.plain, entries.mixed])
    pool = [vocabulary(rng) for _ in range(rng.choice([4, 8, 16, 40, 40]))]
    again = rng.choice([0.0, 0.0, 0.3])
    before: list[str] = []

    def write(_: int) -> str:
        if before and rng.random() < again:
            before.append(rng.choice(before))
        else:
            before.append(column.fill(lambda source: source.choice(pool)))
        return before[-1]

    return column.read(write)


def log(rng: Random, width: int, height: int) -> Sample:
    """Draw the lines of a log: times that go on, few names, few messages."""
    column = Column(rng, width, height)
    names = [words.plain(rng).lower() for _ in range(rng.randint(2, 5))]
    messages = [
        " ".join(words.plain(rng).lower() for _ in range(rng.randint(2, 7)))
        for _ in range(rng.randint(2, 8))
    ]
    second = rng.randrange(86_000)
    day = rng.choice(["", f"{entries.day(rng)} "])

    def write(_: int) -> str:
        nonlocal second
        second = (second + rng.choice([0, 1, 1, 2, 7, 40])) % 86_400
        time = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        number = rng.choice(
            ["", f" {rng.randint(1, 999)}", f" {rng.choice(names)}={rng.random():.2f}"]
        )
        head = f"{day}{time} {rng.choice(_LEVELS)} {rng.choice(names)}"
        return column.cut(f"{head}: {rng.choice(messages)}{number}")

    return column.read(write)


def page(rng: Random, width: int, height: int) -> Sample:
    """Draw a page of one of these kinds."""
    return rng.choices([dense, repeated, log], [45, 35, 20])[0](rng, width, height)

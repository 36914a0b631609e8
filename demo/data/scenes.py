"""Training samples: an image, a conversation about it, and the source of each answer byte."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from demo.data import augment, entries, fonts, prompts, words
from demo.data.drawing import Canvas, Colour, Glyph, text_width

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from PIL import Image

    #: Draws one random piece of text without spaces.
    Vocabulary = Callable[[Random], str]

#: Replaces an unreadable character in a glyph.
UNREADABLE = "\0"


@dataclass(slots=True)
class Turn:
    """A question, its answer, and for each byte of the answer the glyph it is read from."""

    question: str
    answer: str
    #: Indices into the sample's glyphs, -1 where nothing is read.
    sources: list[int]
    #: Whether line and column of the next character follow from the answer so far.
    ordered: bool = True
    #: Indices of the regions that the answer is the number of.
    counted: tuple[int, ...] | None = None
    #: The picture that the answer is counted in.
    picture: int = 0


class Region(NamedTuple):
    """The box of a shape in pixels and its class."""

    box: tuple[int, int, int, int]
    kind: int


@dataclass(slots=True)
class Sample:
    """One drawn image with its conversation, and the regions that its shapes cover."""

    image: Image.Image
    turns: list[Turn]
    glyphs: list[Glyph]
    regions: list[Region] = field(default_factory=list)
    #: Pictures of equal height that `image` holds below each other.
    pictures: int = 1

    def shown(self) -> list[Image.Image]:
        """Return the pictures, each of which is shown for itself."""
        width, height = self.image.width, self.image.height // self.pictures
        tops = range(0, self.image.height, height)
        return [self.image.crop((0, top, width, top + height)) for top in tops]


@dataclass(slots=True)
class Script:
    """An answer under construction: read characters and markup between them."""

    parts: list[str] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)

    def read(self, text: str, glyph: int, step: int = 1) -> None:
        """Append text whose bytes are read from `glyph` and its successors (`step` apart)."""
        size = len(text.encode())
        self.parts.append(text)
        self.sources.extend(glyph + step * offset for offset in range(size))

    def mark(self, text: str) -> None:
        """Append markup; its source is the next character that is read."""
        self.parts.append(text)
        self.sources.extend([-2] * len(text.encode()))

    def turn(self, question: str) -> Turn:
        """Return the turn of a question with this answer."""
        following = -1
        for place in reversed(range(len(self.sources))):
            if self.sources[place] == -2:
                self.sources[place] = following
            following = self.sources[place]
        return Turn(question, "".join(self.parts), self.sources)


def plain_turn(question: str, answer: str, source: int = -1) -> Turn:
    """Make a turn whose whole answer is read from one glyph, or from none."""
    return Turn(question, answer, [source] * len(answer.encode()), ordered=False)


def colours(rng: Random) -> tuple[Colour, Colour]:
    """(background, ink): dark on light, in a quarter of the cases light on dark."""
    kind = rng.random()
    if kind < 0.25:
        light, dark = (255, 255, 255), (rng.randint(0, 60),) * 3
    else:
        light = tuple(rng.randint(190, 255) for _ in range(3))
        dark = tuple(rng.randint(0, 90) for _ in range(3))
    return (dark, light) if rng.random() < 0.25 else (light, dark)


def read_lines(question: str, lines: list[str], starts: list[int]) -> Turn:
    """Make the turn that reads `lines`, the first glyph of each being at `starts`."""
    script = Script()
    for number, (line, start) in enumerate(zip(lines, starts, strict=True)):
        if number:
            script.mark("\n")
        script.read(line, start)
    return script.turn(question)


def fill_line(
    rng: Random, width: float, face: str, size: int, vocabulary: Vocabulary = words.token
) -> str:
    """Random words up to `width` pixels, rarely much shorter; empty if not one character fits."""
    text = vocabulary(rng)
    while text and text_width(text, face, size) > width:
        text = text[:-1]
    stop = rng.choice([0.02, 0.02, 0.3])
    while rng.random() > stop:
        longer = f"{text} {vocabulary(rng)}"
        if text_width(longer, face, size) > width:
            break
        text = longer
    return text.strip()


def font_size(rng: Random, height: int, smallest: int = 14, largest: int = 40) -> int:
    """14–40 px, as far as a line of it fits into `height`."""
    return rng.randint(smallest, max(smallest, min(largest, int(height / 1.25))))


def block(
    rng: Random,
    width: int,
    height: int,
    smallest: int = 14,
    largest: int = 40,
    vocabulary: Vocabulary = words.token,
) -> Sample:
    """Lines of text anywhere on the image, of `smallest` to `largest` px."""
    face, size = rng.choice(fonts.available()), font_size(rng, height, smallest, largest)
    background, ink = colours(rng)
    canvas = Canvas.blank(width, height, background)
    left = rng.randint(1, max(1, min(24, width // 8)))
    if rng.random() < 0.1:
        left = rng.randint(1, width // 2)
    y = rng.randint(-1, max(0, min(16, height - round(size * 1.2))))
    if rng.random() < 0.15:
        y = rng.randint(0, max(0, height - round(size * 1.2)))
    spacing, ending = rng.uniform(1.12, 1.7), rng.choice([0.02, 0.02, 0.1, 0.3])
    align = rng.choice(["left", "left", "left", "centre", "right"])
    lines: list[str] = []
    starts: list[int] = []
    while y + size * 1.2 <= height and not (lines and rng.random() < ending):
        text = fill_line(rng, width - left - 3, face, size, vocabulary)
        spare = max(0, round(width - left - 3 - text_width(text, face, size)))
        x = left + {"left": 0, "centre": spare // 2, "right": spare}[align]
        if text:
            starts.append(len(canvas.glyphs))
            canvas.write(text, x, y, face, size, ink, len(lines))
            lines.append(text)
        y += round(size * spacing) + (size if rng.random() < 0.06 else 0)
    turns = [read_lines(prompts.reading(rng), lines, starts)]
    return Sample(augment.add_defects(rng, canvas.image), turns, canvas.glyphs)


def small_print(rng: Random, width: int, height: int) -> Sample:
    """Lines of the smallest print in the training, and slightly smaller ones."""
    return block(rng, width, height, smallest=12, largest=20)


def large_print(rng: Random, width: int, height: int) -> Sample:
    """Lines of the largest print: headlines, signs, slides."""
    vocabulary = rng.choice([words.token, words.cased, entries.mixed])
    return block(rng, width, height, smallest=40, largest=90, vocabulary=vocabulary)


def everyday(rng: Random, width: int, height: int) -> Sample:
    """Lines of amounts, addresses, names and numbers, as on everyday papers."""
    return block(rng, width, height, smallest=13, vocabulary=entries.mixed)


def covered(rng: Random, width: int, height: int) -> Sample:
    """Lines of text of which some characters are hidden or blurred beyond reading."""
    sample = block(rng, width, height)
    glyphs, turn = sample.glyphs, sample.turns[0]
    hidden = augment.hide_characters(rng, sample.image, glyphs)
    sample.glyphs = [
        Glyph(UNREADABLE, g.x, g.y, g.line, g.column) if number in hidden else g
        for number, g in enumerate(glyphs)
    ]
    script = Script()
    before = -1
    for char, source in zip(turn.answer, turn.sources, strict=True):
        if char == "\n" or source not in hidden:
            script.sources.append(source)
            script.parts.append(char)
        elif before not in hidden:
            script.read("[?]", source, step=0)
        before = -1 if char == "\n" else source
    sample.turns = [script.turn(turn.question)]
    return sample

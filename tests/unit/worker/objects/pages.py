"""Drawn pages whose every word has a known place: columns, slants, phrases broken across lines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from PIL import Image, ImageDraw

from demo.data import fonts, words

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class WordPage:
    """An image with its words in reading order, the place of each, and the line it stands in."""

    kind: str
    image: Image.Image
    words: list[str] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    #: Lines behind which a phrase does not go on: the last of a column.
    ends: set[int] = field(default_factory=set)

    def places(self, phrase: list[str]) -> list[Box]:
        """Return the box of each occurrence of words that follow each other."""
        count = len(phrase)
        starts = [n for n in range(len(self.words) - count + 1) if self._stands(phrase, n)]
        return [_around(self.boxes[start : start + count]) for start in starts]

    def _stands(self, phrase: list[str], start: int) -> bool:
        stop = start + len(phrase)
        crossed = set(self.lines[start : stop - 1]) - {self.lines[stop - 1]}
        same = [word.casefold() for word in self.words[start:stop]] == phrase
        return same and not crossed & self.ends


def _around(boxes: list[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _write(page: WordPage, rng: Random, left: float, width: float, rows: int, size: int) -> None:
    """Fill a column with words out of a few, so that they repeat."""
    font, draw = fonts.load(fonts.PILLOW, size), ImageDraw.Draw(page.image)
    vocabulary = [words.plain(rng) for _ in range(50)]
    first = page.lines[-1] + 1 if page.lines else 0
    for row in range(rows):
        x, y = left, 40 + row * round(1.5 * size)
        while True:
            word = rng.choice(vocabulary)
            word = word.title() if rng.random() < 0.2 else word
            if x + font.getlength(word) > left + width:
                break
            draw.text((x, y), word, font=font, fill="black")
            ink = draw.textbbox((x, y), word, font=font)
            page.words.append(word)
            page.boxes.append(ink)
            page.lines.append(first + row)
            x += font.getlength(word) + font.getlength(" ")
    page.ends.add(first + rows - 1)


def _plain(number: int) -> WordPage:
    size = (16, 20, 26)[number % 3]
    page = WordPage("plain", Image.new("RGB", (760, 80 + 14 * round(1.5 * size)), "white"))
    _write(page, Random(f"find:{number}"), 40, 680, 14, size)
    return page


def _columns(number: int) -> WordPage:
    rng = Random(f"find columns:{number}")
    page = WordPage("columns", Image.new("RGB", (1000, 80 + 14 * 30), "white"))
    _write(page, rng, 40, 420, 14, 20)
    _write(page, rng, 540, 420, 14, 20)
    return page


def _slanted(number: int) -> WordPage:
    page = _plain(number)
    degrees = Random(number).uniform(-3, 3)
    middle = (page.image.width / 2, page.image.height / 2)
    image = page.image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor="white")
    boxes = [_turn(box, middle, degrees) for box in page.boxes]
    return WordPage("slanted", image, page.words, boxes, page.lines, page.ends)


def _turn(box: Box, middle: tuple[float, float], degrees: float) -> Box:
    """Return the upright box around one that was turned counter-clockwise."""
    angle = math.radians(degrees)
    corners = [
        (
            middle[0] + (x - middle[0]) * math.cos(angle) + (y - middle[1]) * math.sin(angle),
            middle[1] - (x - middle[0]) * math.sin(angle) + (y - middle[1]) * math.cos(angle),
        )
        for x in (box[0], box[2])
        for y in (box[1], box[3])
    ]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


KINDS: dict[str, Callable[[int], WordPage]] = {
    "plain": _plain,
    "columns": _columns,
    "slanted": _slanted,
}

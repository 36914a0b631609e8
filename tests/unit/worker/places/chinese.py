"""Drawn pages of Chinese print, where a typeface for it is installed."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageFont

from tests.unit.worker.places.pages import KnownPage, turned

#: Debian's fonts-wqy-zenhei; another one is named by this variable.
FONT = Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc")
NAMED_FONT = "SIGHTLINE_CHINESE_FONT"
#: Common characters, so that most of what is drawn is in every vocabulary.
_LETTERS = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所"
    "民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日"
    "那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已"
)
_MARKS = "，。、；：“”（）"
_FIGURES = "0123456789"


def find_font() -> Path | None:
    """Return the file of a typeface for Chinese; None where there is none."""
    path = Path(os.environ.get(NAMED_FONT) or FONT)
    return path if path.is_file() else None


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    path = find_font()
    if path is None:
        raise FileNotFoundError(f"no typeface for Chinese: install it, or name one in {NAMED_FONT}")
    return ImageFont.truetype(path, size)


def _line(rng: Random, most: int) -> str:
    """Return a line of print: characters, a mark now and then, and some figures."""
    text = ""
    while len(text) < most:
        kind = rng.random()
        if kind < 0.06 and text and text[-1] not in _MARKS:
            text += rng.choice(_MARKS)
        elif kind < 0.1:
            text += "".join(rng.choices(_FIGURES, k=rng.randint(2, 4)))
        else:
            text += rng.choice(_LETTERS)
    return text[:most]


def _draw(rng: Random, count: int, size: int, most: int) -> KnownPage:
    font, pitch = _font(size), round(1.6 * size)
    image = Image.new("RGB", ((most + 4) * size, 4 * size + count * pitch), "white")
    pen, lines, boxes = ImageDraw.Draw(image), [], []
    for row in range(count):
        # the last line of a paragraph is short
        text = _line(rng, most if row % 4 < 3 else rng.randint(3, most))
        place = (2 * size, 2 * size + row * pitch)
        pen.text(place, text, font=font, fill="black")
        lines.append(text)
        boxes.append(pen.textbbox(place, text, font=font))
    return KnownPage("chinese", image, lines, boxes)


def _plain(number: int) -> KnownPage:
    rng = Random(f"chinese:{number}")
    return _draw(rng, 12, (18, 22, 28)[number % 3], rng.randint(14, 26))


def _slanted(number: int) -> KnownPage:
    rng = Random(f"chinese slanted:{number}")
    known = _draw(rng, 10, 22, 22)
    return turned(known, rng.uniform(-4, 4), "chinese slanted")


def _table(number: int) -> KnownPage:
    rng, size = Random(f"chinese table:{number}"), 20
    image = Image.new("RGB", (760, 60 + 10 * 34), "white")
    pen, lines, boxes, cells = ImageDraw.Draw(image), [], [], []
    for row in range(10):
        count, price = rng.randint(1, 20), rng.randint(1, 99) / 4
        name = "".join(rng.choices(_LETTERS, k=rng.randint(2, 8)))
        texts = [name, str(count), f"{price:.2f}", f"{count * price:.2f}"]
        if row == 0:
            texts = ["品名", "数量", "单价", "金额"]
        placed = []
        for text, left in zip(texts, (40, 330, 460, 600), strict=True):
            pen.text((left, 30 + 34 * row), text, font=_font(size), fill="black")
            placed.append(pen.textbbox((left, 30 + 34 * row), text, font=_font(size)))
        cells.append(placed)
        lines.append(f"| {' | '.join(texts)} |")
        lefts, tops, rights, bottoms = zip(*placed, strict=True)
        boxes.append((min(lefts), min(tops), max(rights), max(bottoms)))
    return KnownPage("chinese table", image, lines, boxes, cells)


KINDS = {"chinese": _plain, "chinese slanted": _slanted, "chinese table": _table}

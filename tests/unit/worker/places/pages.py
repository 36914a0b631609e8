"""Drawn pages whose lines have known places, and texts as a model might make of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from PIL import Image, ImageDraw

from demo.data import fonts
from tests.unit.worker.reader.pages import page, plain_word

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class KnownPage:
    """An image, its lines in reading order, and the box of each line's ink."""

    kind: str
    image: Image.Image
    lines: list[str]
    boxes: list[Box]
    #: Of a table: the boxes of each row's cells.
    cells: list[list[Box]] | None = None
    #: Pixels of the tiles that it is read in; 0: in one look.
    budget: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """A line that a model wrote, and the numbers of the lines of the page that it stands for."""

    text: str
    sources: tuple[int, ...]


def _plain(number: int) -> KnownPage:
    drawn = page(number, 12, size=(16, 20, 28)[number % 3], width=700)
    return KnownPage("plain", drawn.image, drawn.lines, list(drawn.boxes))


def _repetitive(number: int) -> KnownPage:
    drawn = page(number, 12, width=640, repetitive=True)
    return KnownPage("repetitive", drawn.image, drawn.lines, list(drawn.boxes))


def _slanted(number: int) -> KnownPage:
    drawn = page(number, 10, width=640)
    known = KnownPage("slanted", drawn.image, drawn.lines, list(drawn.boxes))
    return turned(known, Random(number).uniform(-4, 4), "slanted")


def turned(known: KnownPage, degrees: float, kind: str) -> KnownPage:
    """Return a page turned around its middle by so many degrees counter-clockwise."""
    image = known.image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor="white")
    turn = _Turn(known.image.size, degrees)
    return KnownPage(kind, image, known.lines, [turn.box(box) for box in known.boxes])


@dataclass(frozen=True, slots=True)
class _Turn:
    """The turn of an image around its centre by so many degrees counter-clockwise."""

    size: tuple[int, int]
    degrees: float

    def box(self, box: Box) -> Box:
        """Return the upright box around a turned one."""
        import math

        angle = math.radians(self.degrees)
        middle_x, middle_y = self.size[0] / 2, self.size[1] / 2
        xs, ys = [], []
        for x in (box[0], box[2]):
            for y in (box[1], box[3]):
                across, down = x - middle_x, y - middle_y
                xs.append(middle_x + across * math.cos(angle) + down * math.sin(angle))
                ys.append(middle_y - across * math.sin(angle) + down * math.cos(angle))
        return min(xs), min(ys), max(xs), max(ys)


def _columns(number: int) -> KnownPage:
    left, right = page(number, 10, width=430), page(number + 500, 10, width=430)
    image = Image.new("RGB", (860, left.image.height), "white")
    image.paste(left.image, (0, 0))
    image.paste(right.image, (430, 0))
    moved = [(a + 430, b, c + 430, d) for a, b, c, d in right.boxes]
    return KnownPage("columns", image, left.lines + right.lines, [*left.boxes, *moved])


def _table(number: int) -> KnownPage:
    rng, font = Random(f"table:{number}"), fonts.load(fonts.PILLOW, 20)
    image = Image.new("RGB", (760, 60 + 10 * 34), "white")
    pen, lines, boxes, cells = ImageDraw.Draw(image), [], [], []
    rows = [["Article", "Pieces", "Each", "Sum"]]
    for _ in range(9):
        count, price = rng.randint(1, 20), rng.randint(1, 99) / 4
        rows.append([plain_word(rng), str(count), f"{price:.2f}", f"{count * price:.2f}"])
    for row, texts in enumerate(rows):
        placed = []
        for text, left in zip(texts, (40, 330, 460, 600), strict=True):
            pen.text((left, 30 + 34 * row), text, font=font, fill="black")
            placed.append(pen.textbbox((left, 30 + 34 * row), text, font=font))
        cells.append(placed)
        lines.append(f"| {' | '.join(texts)} |")
        boxes.append(_union(placed))
    return KnownPage("table", image, lines, boxes, cells)


def _tiled(number: int) -> KnownPage:
    drawn = page(number, 36, width=640)
    return KnownPage("tiled", drawn.image, drawn.lines, list(drawn.boxes), budget=300_000)


def _wide(number: int) -> KnownPage:
    drawn = page(number, 8, width=2200)
    return KnownPage("wide", drawn.image, drawn.lines, list(drawn.boxes), budget=300_000)


def _union(boxes: list[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


KINDS = {
    "plain": _plain,
    "repetitive": _repetitive,
    "slanted": _slanted,
    "columns": _columns,
    "table": _table,
    "tiled": _tiled,
    "wide": _wide,
}


def written(known: KnownPage, rng: Random) -> list[list[Written]]:
    """Return texts as models write them: right, misread, with losses, joined and reordered."""
    lines = [Written(text, (number,)) for number, text in enumerate(known.lines)]
    texts = [lines, _misread(lines, rng), _with_losses(lines, rng)]
    if known.cells is None:
        texts += [_joined(lines), _reordered(known, lines)]
    return texts


def _misread(lines: list[Written], rng: Random) -> list[Written]:
    return [replace(line, text=_spoil(line.text, rng, 0.04)) for line in lines]


def _spoil(text: str, rng: Random, share: float) -> str:
    others = "abcdeilmnorst0158" if text.isascii() else "人入大太日目未末土士"
    return "".join(
        rng.choice(others) if letter.isalnum() and rng.random() < share else letter
        for letter in text
    )


def _with_losses(lines: list[Written], rng: Random) -> list[Written]:
    """Leave out some lines, and invent one."""
    kept = [line for line in lines if rng.random() > 0.15]
    invented = " ".join(plain_word(rng) for _ in range(6))
    kept.insert(rng.randrange(len(kept) + 1), Written(invented, ()))
    return kept


def _joined(lines: list[Written]) -> list[Written]:
    """Write three lines at a time as one, as a paragraph."""
    groups = [lines[at : at + 3] for at in range(0, len(lines), 3)]
    return [
        Written(" ".join(line.text for line in group), tuple(line.sources[0] for line in group))
        for group in groups
    ]


def _reordered(known: KnownPage, lines: list[Written]) -> list[Written]:
    """Write the second half of the page first, or two columns row by row."""
    half = len(lines) // 2
    if known.kind == "columns":
        pairs = zip(lines[:half], lines[half:], strict=True)
        return [line for pair in pairs for line in pair]
    return lines[half:] + lines[:half]

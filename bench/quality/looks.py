"""Counts the visual tokens that reading without blank parts saves: `python -m bench.quality.looks`.

Typical pages are drawn, cut as a worker cuts them, and each part is looked at as a whole and
without its blank margins and bands. Nothing is read: a token costs what it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from PIL import Image, ImageDraw

from demo.data import fonts, words
from shared.jobs import DETAIL_PIXELS
from shared.prediction.tile_plan import tiling_for
from shared.prediction.visual_tokens import visual_tokens
from tests.unit.worker.reader.pages import line_of
from tests.unit.worker.tiling.pages import receipt, screenshot
from worker.engine.api import ImageInput, ModelInfo
from worker.pipeline.looks import leave_out_blanks
from worker.tiling import cut

#: A sheet of A4 at 150 dots per inch, its usual margin, and a screen.
_A4, _MARGIN, _SCREEN = (1240, 1754), 148, (1600, 900)
_BUDGET = DETAIL_PIXELS["auto"]
_INFO = ModelInfo("none", "", context_tokens=1 << 20, numerics="none")
#: Pages of each kind.
_EACH = 5


def main() -> None:
    """Print a Markdown table."""
    print("| pages | parts | visual tokens: whole | without blanks | saved |")
    print("|---|---:|---:|---:|---:|")
    for name, draw in _KINDS.items():
        counts = [_count(draw(Random(f"looks:{name}:{number}"))) for number in range(_EACH)]
        parts, whole, tight = (sum(column) for column in zip(*counts, strict=True))
        saved = 1 - tight / whole
        print(f"| {name} | {parts / _EACH:g} | {whole // _EACH} | {tight // _EACH} | {saved:.0%} |")


def _count(page: Image.Image) -> tuple[int, int, int]:
    """Return in how many parts a page is read, and the visual tokens of both ways."""
    is_cut = tiling_for(*page.size, _BUDGET, task=None, reads=True)
    tiles = cut(page, _BUDGET) if is_cut else cut(page, page.width * page.height)
    tokens = [_tokens(page.crop(tile.box)) for tile in tiles]
    return len(tiles), sum(whole for whole, _ in tokens), sum(tight for _, tight in tokens)


def _tokens(part: Image.Image) -> tuple[int, int]:
    source = ImageInput("img_page", part, _BUDGET)
    look = leave_out_blanks(source, _INFO)
    sizes = [part.size, look.source.image.size if look else part.size]
    whole, tight = (visual_tokens(*size, _BUDGET).tokens for size in sizes)
    return whole, tight


def _write(image: Image.Image, lines: Iterator[tuple[int, int, str]], size: int) -> Image.Image:
    pen, font = ImageDraw.Draw(image), fonts.load(fonts.PILLOW, size)
    for x, y, text in lines:
        pen.text((x, y), text, font=font, fill="black")
    return image


def _paragraph(rng: Random, top: int, lines: int, size: int = 22) -> Iterator[tuple[int, int, str]]:
    width = _A4[0] - 2 * _MARGIN
    for number in range(lines):
        text = line_of(rng, None, width, fonts.PILLOW, size)
        yield _MARGIN, top + round(1.45 * size * number), text


def _dense(rng: Random) -> Image.Image:
    return _write(Image.new("RGB", _A4, "white"), _paragraph(rng, _MARGIN, 45), 22)


def _letter(rng: Random) -> Image.Image:
    page = _write(Image.new("RGB", _A4, "white"), _paragraph(rng, 500, 14), 22)
    address = ((_MARGIN, 200 + 32 * row, words.plain(rng)) for row in range(4))
    signed = iter([(_MARGIN, 1250, words.cased(rng))])
    return _write(_write(page, address, 22), signed, 22)


def _invoice(rng: Random) -> Image.Image:
    page = _write(Image.new("RGB", _A4, "white"), _paragraph(rng, 180, 5), 22)
    rows = rng.randint(4, 12)
    cells = (
        (x, 520 + 40 * row, text)
        for row in range(rows)
        for x, text in ((_MARGIN, words.plain(rng)), (700, "2"), (1000, words.price(rng)))
    )
    return _write(page, cells, 22)


def _slide(rng: Random) -> Image.Image:
    page = _write(Image.new("RGB", _SCREEN, "white"), iter([(120, 90, words.plain(rng))]), 64)
    points = (
        (160, 300 + 90 * n, line_of(rng, None, 900, fonts.PILLOW, 36))
        for n in range(rng.randint(3, 5))
    )
    return _write(page, points, 36)


def _form(rng: Random) -> Image.Image:
    page = Image.new("RGB", _A4, "white")
    rows = range(12)
    names = ((_MARGIN, 220 + 100 * row, words.plain(rng)) for row in rows)
    page = _write(page, names, 22)
    pen = ImageDraw.Draw(page)
    for row in rows:
        pen.line((420, 250 + 100 * row, _A4[0] - _MARGIN, 250 + 100 * row), fill="black")
    return page


_KINDS: dict[str, Callable[[Random], Image.Image]] = {
    "A4, full of text": _dense,
    "A4, a short letter": _letter,
    "A4, an invoice": _invoice,
    "A4, a form with lines to write on": _form,
    "a slide": _slide,
    "a receipt": lambda rng: receipt(rng).image,
    "a long screenshot": lambda rng: screenshot(rng).image,
}


if __name__ == "__main__":
    main()

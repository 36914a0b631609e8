"""Documents drawn for tests: born digital, scanned, rotated, encrypted, and all kinds of lies."""

from __future__ import annotations

import functools
import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pikepdf
import reportlab
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

A4 = (595.0, 842.0)
_FONTS = Path(reportlab.__file__).parent / "fonts"
VERA = str(_FONTS / "Vera.ttf")
_PROSE = (
    "the quick brown fox jumps over a lazy dog while efficient officers find waffles and "
    "people read about invoices totals dates orders goods numbers between many other things"
)
WORDS = tuple(_PROSE.split())

Draw = Callable[[Canvas], object]


@functools.cache
def embedded_font() -> str:
    """Return the name of a TrueType font that documents carry with them."""
    pdfmetrics.registerFont(TTFont("Vera", VERA))
    return "Vera"


def pdf(*pages: Draw, size: tuple[float, float] = A4, **options: object) -> bytes:
    """Return a PDF with a page for each function, which draws on it."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size, invariant=1, **options)
    for draw in pages:
        canvas.setFont("Helvetica", 10)
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def sentence(words: int, seed: int = 0) -> str:
    """Return some words, always the same for a seed."""
    rnd = random.Random(seed)
    return " ".join(rnd.choice(WORDS) for _ in range(words))


def write(
    canvas: Canvas, lines: Sequence[str], x: float = 60, y: float = 770, step: float = 14
) -> None:
    """Write lines downwards from a place, which counts from the bottom."""
    for count, line in enumerate(lines):
        canvas.drawString(x, y - count * step, line)


def prose(lines: int = 40, seed: int = 0, words: int = 12) -> list[str]:
    """Return lines of about so many words, broken where they are full."""
    rnd, width, text = random.Random(seed), 6 * words, [""]
    while len(text) <= lines:
        word = rnd.choice(WORDS)
        if len(text[-1]) + len(word) >= width:
            text.append("")
        text[-1] = f"{text[-1]} {word}".strip()
    return text[:lines]


def text_page(seed: int = 0, lines: int = 40) -> Draw:
    """Return what draws a page of prose."""
    return lambda canvas: write(canvas, prose(lines, seed))


def encrypted(password: str, cipher: int) -> bytes:
    """Return an encrypted PDF; without a user's password anybody may open it.

    `cipher` is the revision of the security handler: 2 and 3 for RC4, 4 and 6 for AES.
    """
    lock = pikepdf.Encryption(
        user=password, owner="owner", R=cipher, aes=cipher >= 4, metadata=cipher >= 4
    )
    return rewritten(pdf(text_page(1), text_page(2)), encryption=lock)


def rewritten(
    data: bytes, change: Callable[[pikepdf.Pdf], object] = lambda _: None, **options: Any
) -> bytes:
    """Return a PDF after a change that reportlab knows nothing of."""
    buffer = io.BytesIO()
    with pikepdf.open(io.BytesIO(data)) as document:
        change(document)
        document.save(buffer, **options)
    return buffer.getvalue()


def rotated(data: bytes, degrees: int) -> bytes:
    """Return a PDF all of whose pages ask to be turned clockwise by degrees."""

    def rotate(document: pikepdf.Pdf) -> None:
        for page in document.pages:
            page.rotate(degrees, relative=False)

    return rewritten(data, rotate)


def scan(
    lines: Sequence[str],
    *,
    dpi: int = 150,
    font: str = VERA,
    points: float = 11,
    noise: float = 4,
    turn: int = 0,
    seed: int = 0,
) -> Image.Image:
    """Return a grey scan of a page of lines, turned clockwise by degrees."""
    scale = dpi / 72
    page = Image.new("L", (round(595 * scale), round(842 * scale)), 246)
    pen = ImageDraw.Draw(page)
    face = ImageFont.truetype(font, round(points * scale))
    for count, line in enumerate(lines):
        pen.text((60 * scale, (60 + count * points * 1.5) * scale), line, 25, face)
    grain = Image.effect_noise(page.size, noise * 2) if noise else None
    if grain:
        page = Image.blend(page, grain, 0.08)
    return page.rotate(-turn, expand=True, fillcolor=240)


def draw_scan(picture: Image.Image) -> Draw:
    """Return what draws a picture over the whole page."""
    return lambda canvas: canvas.drawImage(ImageReader(picture), 0, 0, *A4)

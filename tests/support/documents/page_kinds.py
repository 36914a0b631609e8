"""PDFs whose pages are of given kinds, each with words of its own; scans are small and quick."""

from __future__ import annotations

import base64
import functools
import io

from PIL import Image, ImageDraw

from tests.support.documents.drawn import Draw, draw_scan, pdf, scan, text_page


def _nothing(_: object) -> None:
    """Draw nothing."""


def _draw(kind: str, number: int) -> Draw:
    if kind == "t":
        return text_page(number, lines=12)
    if kind == "s":
        return draw_scan(scan([f"sheet {number}", "some words"], dpi=72, points=20, noise=0))
    return _nothing


@functools.cache
def pages(kinds: str) -> bytes:
    """Return a PDF with a page for each letter: `t` text, `s` a scan, `b` nothing."""
    return pdf(*(_draw(kind, number) for number, kind in enumerate(kinds, start=1)))


def as_base64(data: bytes) -> str:
    """Return a file as requests carry it in JSON."""
    return base64.b64encode(data).decode()


def tiff(count: int) -> bytes:
    """Return a TIFF of so many pages."""
    sheets = []
    for number in range(1, count + 1):
        sheet = Image.new("RGB", (300, 200), "white")
        ImageDraw.Draw(sheet).text((20, 20), f"sheet {number} of {count}", "black")
        sheets.append(sheet)
    out = io.BytesIO()
    sheets[0].save(out, "TIFF", save_all=True, append_images=sheets[1:])
    return out.getvalue()


def animation(count: int) -> bytes:
    """Return a GIF of so many frames."""
    frames = [Image.new("RGB", (64, 64), (60 * number, 0, 0)) for number in range(1, count + 1)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()

"""Renders pages of a PDF: in grey to look at their ink, in colour to be read."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

import numpy as np
from PIL import Image
from pypdfium2 import raw

from shared.documents.ink.mask import Grey
from shared.documents.pdf.file import PdfPage

POINTS_PER_INCH = 72.0
#: Pixels per point at which ink is looked at.
INK_SCALE = 1.25
#: Pixels of the grey picture of the largest pages.
_MOST_INK_PIXELS = 4_000_000
_WHITE = 0xFFFFFFFF


def ink_scale(page: PdfPage) -> float:
    """Return the pixels per point of `render_grey`: fewer for very large pages."""
    area = page.width * page.height
    return float(min(INK_SCALE, (_MOST_INK_PIXELS / area) ** 0.5))


def render_grey(page: PdfPage) -> Grey:
    """Return a small grey picture of the page on white, (height, width)."""
    scale = ink_scale(page)
    width, height = _size(page, scale)
    with _bitmap(width, height, raw.FPDFBitmap_Gray) as (bitmap, pixels):
        raw.FPDF_RenderPageBitmap(bitmap, page.handle, 0, 0, width, height, 0, 0)
        return pixels[:, :width].copy()


def render_rgb(page: PdfPage, dpi: float, max_pixels: int) -> tuple[Image.Image, float]:
    """Return the page on white, in RGB, and its dots per inch after the limit of pixels."""
    scale = dpi / POINTS_PER_INCH
    scale = min(scale, (max_pixels / (page.width * page.height)) ** 0.5)
    width, height = _size(page, scale)
    with _bitmap(width, height, raw.FPDFBitmap_BGRx) as (bitmap, pixels):
        raw.FPDF_RenderPageBitmap(
            bitmap, page.handle, 0, 0, width, height, 0, raw.FPDF_REVERSE_BYTE_ORDER
        )
        # Pillow keeps the mode of such a buffer, whatever it is asked for
        image = Image.frombuffer(
            "RGB", (width, height), pixels, "raw", "RGBX", pixels.shape[1], 1
        ).convert("RGB")
    return image, scale * POINTS_PER_INCH


def _size(page: PdfPage, scale: float) -> tuple[int, int]:
    return max(1, int(page.width * scale)), max(1, int(page.height * scale))


@contextlib.contextmanager
def _bitmap(width: int, height: int, form: int) -> Iterator[tuple[raw.FPDF_BITMAP, Grey]]:
    """Yield a white bitmap and its bytes, (height, bytes of a row); raises MemoryError."""
    bitmap = raw.FPDFBitmap_CreateEx(width, height, form, None, 0)
    if not bitmap:
        raise MemoryError
    try:
        raw.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, _WHITE)
        stride = raw.FPDFBitmap_GetStride(bitmap)
        address = ctypes.cast(raw.FPDFBitmap_GetBuffer(bitmap), ctypes.POINTER(ctypes.c_ubyte))
        yield bitmap, np.ctypeslib.as_array(address, (height, stride))
    finally:
        raw.FPDFBitmap_Destroy(bitmap)

"""Cuts the figures of a page out of its picture."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image

from shared.documents.model import Box, PageFigure, PageText

_QUALITY = 88
#: Points by which a line may reach into what is below it.
_OVERLAP = 3.0


def cut_figures(text: PageText, picture: Image.Image, dpi: float) -> Iterator[PageFigure]:
    """Yield the figures of a page from top to bottom; `picture` shows it at `dpi`."""
    scale = dpi / 72
    for box in sorted(text.figures, key=lambda one: (one[1], one[0])):
        left, top, right, bottom = (round(side * scale) for side in box)
        cut = (max(0, left), max(0, top), min(picture.width, right), min(picture.height, bottom))
        if cut[0] < cut[2] and cut[1] < cut[3]:
            yield PageFigure(cut, _as_jpeg(picture.crop(cut)), _line_before(text, box))


def _line_before(text: PageText, figure: Box) -> str:
    """Return the last line above a figure in reading order, of its own column if there is one."""
    above = [line for line in text.lines if line.box[3] <= figure[1] + _OVERLAP]
    beside = [line for line in above if line.box[0] < figure[2] and line.box[2] > figure[0]]
    return next((line.text for line in reversed(beside or above)), "")


def _as_jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()

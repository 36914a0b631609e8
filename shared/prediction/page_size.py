"""How large the picture of a document's page is, from the page's size alone."""

from __future__ import annotations

import math

#: Points in an inch.
_POINTS = 72
#: Pixels of a page's picture; a larger page is drawn smaller.
MAX_PAGE_PIXELS = 16_777_216


def page_pixels(width: float, height: float, dpi: float | None) -> tuple[int, int]:
    """Return width and height in pixels of a page of so many points at `dpi`.

    Without `dpi` the page is a picture, whose size is in pixels already.
    """
    scale = 1.0 if dpi is None else dpi / _POINTS
    scale = min(scale, math.sqrt(MAX_PAGE_PIXELS / max(1.0, width * height)))
    return max(1, round(width * scale)), max(1, round(height * scale))

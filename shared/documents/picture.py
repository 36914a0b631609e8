"""The last steps from a rendered page to its picture: blank or not, turned upright, as PNG."""

from __future__ import annotations

import numpy as np
from PIL import Image

from shared.documents.ink.blank import is_blank
from shared.documents.ink.mask import Grey
from shared.documents.ink.orientation import find_turn
from shared.documents.model import RenderedPage
from shared.pixels.png import encode_png

#: Longer side of the grey picture in which blank pages are told: A4 at about 90 dots per inch.
BLANK_SIDE = 1050
#: The same where the direction of writing is told, which needs its letters.
_ORIENTATION_SIDE = 1800
_TURNS = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
_TURNED = "page_turned"


def finish_page(
    image: Image.Image,
    *,
    dpi: float | None,
    turn: int | None,
    notices: list[tuple[str, str]] | None = None,
) -> RenderedPage:
    """Return the picture of a page; `turn`: clockwise degrees, None: to be told by its content."""
    blank = is_blank(to_grey(image, BLANK_SIDE))
    if turn is None:
        turn = 0 if blank else find_turn(to_grey(image, _ORIENTATION_SIDE))
    notices = list(notices or ())
    if turn:
        image = image.transpose(_TURNS[turn])
        notices.append(
            (_TURNED, f"Its content lay on its side or head: turned clockwise by {turn} degrees.")
        )
    warnings = tuple({"code": code, "detail": detail} for code, detail in notices)
    return RenderedPage(encode_png(image), *image.size, dpi, turn, blank, warnings)


def fit_pixels(image: Image.Image, max_pixels: int) -> Image.Image:
    """Return the picture, smaller if it has more pixels than allowed."""
    scale = (max_pixels / (image.width * image.height)) ** 0.5
    if scale >= 1:
        return image
    size = max(1, int(image.width * scale)), max(1, int(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def to_grey(image: Image.Image, longer_side: int) -> Grey:
    """Return a picture in grey, reduced to this length of its longer side, (height, width)."""
    grey = image.convert("L")
    scale = longer_side / max(grey.size)
    if scale < 1:
        size = max(1, round(grey.width * scale)), max(1, round(grey.height * scale))
        grey = grey.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(grey)

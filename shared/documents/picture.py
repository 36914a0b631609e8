"""The last steps from a rendered page to its picture: blank or not, turned upright, as PNG."""

from __future__ import annotations

import numpy as np
from PIL import Image

from shared.documents.ink.blank import is_blank
from shared.documents.ink.mask import Grey
from shared.documents.ink.orientation import judge_turn
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
#: The warning that it is not known how a picture lies.
UNKNOWN = "orientation_unknown"


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
        turn = 0 if blank else find_picture_turn(image)
    notices = list(notices or ())
    if turn:
        image = turn_picture(image, turn)
        notices.append(turn_notice(turn))
    warnings = tuple({"code": code, "detail": detail} for code, detail in notices)
    return RenderedPage(encode_png(image), *image.size, dpi, turn, blank, warnings)


def find_picture_turn(image: Image.Image) -> int:
    """Return the clockwise degrees by which a picture's writing asks to be turned, 0 if unsure."""
    return judge_picture_turn(image) or 0


def judge_picture_turn(image: Image.Image) -> int | None:
    """Return the same as `find_picture_turn`; None if unsure, and 0 for a blank picture."""
    grey = to_grey(image, _ORIENTATION_SIDE)
    degrees = judge_turn(grey)
    return 0 if degrees is None and is_blank(grey) else degrees


def turn_picture(image: Image.Image, degrees: int) -> Image.Image:
    """Return a picture turned clockwise by 90, 180 or 270 degrees."""
    return image.transpose(_TURNS[degrees])


def turn_notice(degrees: int) -> tuple[str, str]:
    """Return code and detail of what is told about a turned picture."""
    return _TURNED, f"Its content lay on its side or head: turned clockwise by {degrees} degrees."


def unknown_notice() -> tuple[str, str]:
    """Return code and detail of what is told about a picture that may lie on its side."""
    return UNKNOWN, (
        "It has too little plain print to tell which way it lies: it was read as it is, and its "
        "text is wrong if it lies on its side or head."
    )


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

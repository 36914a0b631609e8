"""Compares a page's characters with its ink: which show, and which writing no character covers."""

from __future__ import annotations

import numpy as np

from shared.documents.ink.mask import Grey, Mask
from shared.documents.ink.writing import find_writing
from shared.documents.text.glyphs import Flags, Floats, Glyphs

#: Grey levels by which a character changes its page, at least.
_LEAST_CHANGE = 12
#: Pieces of writing that may be left over beside more text: a logo, the labels of a drawing.
_SPARE_PIECES, _MOST_SPARE = 10, 0.25
#: Fewer pieces than a word has say nothing.
_LEAST_PIECES = 2


def find_change(with_text: Grey, without_text: Grey) -> Mask:
    """Return where a page's text changes its picture, (height, width)."""
    change: Mask = np.abs(with_text.astype(np.int16) - without_text) >= _LEAST_CHANGE
    return change


def find_shown(glyphs: Glyphs, change: Mask, scale: float) -> Flags:
    """Return which characters, (n,), change the picture of the page where their shape is.

    `scale` is the picture's pixels per point.
    """
    return glyphs.drawn & (_count_inside(change, glyphs.shapes * scale) > 0)


def share_outside(rest: Mask, text: Mask, unseen: float = 0.0) -> float:
    """Return the share of writing that is still there without the text, 0 to 1.

    `rest` is the ink of the page without its text and `text` what the text changes, (height,
    width); `unseen` are the pixels of text that is in no picture, for lack of a font.
    """
    left = find_writing(rest)
    if len(left) <= _LEAST_PIECES:
        return 0.0
    share = left.area / (left.area + find_writing(text).area + unseen)
    return share if len(left) > _SPARE_PIECES or share > _MOST_SPARE else 0.0


def _count_inside(mask: Mask, boxes: Floats) -> np.ndarray:
    """Return the true pixels inside of each box, (n,)."""
    height, width = mask.shape
    totals = np.zeros((height + 1, width + 1), np.int32)
    np.cumsum(mask, axis=0, dtype=np.int32, out=totals[1:, 1:])
    np.cumsum(totals, axis=1, out=totals)
    # a hairline may lie between two pixels
    x0, y0 = np.floor(boxes[:, 0] - 0.5), np.floor(boxes[:, 1] - 0.5)
    x1, y1 = np.ceil(boxes[:, 2] + 0.5), np.ceil(boxes[:, 3] + 0.5)
    left, right = (np.clip(x, 0, width).astype(np.intp) for x in (x0, x1))
    top, bottom = (np.clip(y, 0, height).astype(np.intp) for y in (y0, y1))
    return totals[bottom, right] - totals[top, right] - totals[bottom, left] + totals[top, left]

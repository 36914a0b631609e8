"""Finds rows of small marks that no region has: what a detector overlooks.

Its network sees a page as a whole and finds nothing in one that is nearly blank, however large the
letters are. Cut out, the same line is found.

The constants were tried on lines of 12 to 28 pixels, at four heights of otherwise blank pages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.reader.page import Box

#: Pixels that are looked at.
_PIXELS = 900_000
#: Grey levels between neighbours that are the edge of a mark.
_EDGE = 48
#: Pixels between letters of one row at most, and around a row.
_GAP, _ROOM = 24, 24
#: Rows of a mark, as looked at: lower ones are rules or specks, higher ones pictures.
_LOWEST, _HIGHEST = 5, 90
#: Columns of a row of marks at least, and the share of edges in it: a frame has few.
_NARROWEST, _LEAST_EDGES = 10, 0.12
#: Share of a mark inside of regions from which on it was seen.
_SEEN = 0.3
#: Places at most, and the share of an image that they may be: more is a picture, not a page.
_MOST_PLACES, _MOST_SHARE = 12, 0.4

Grey = NDArray[np.uint8]


def find_unseen(pixels: NDArray[np.uint8], seen: Sequence[Box]) -> list[Box]:
    """Return upright boxes, with some room, around marks of an RGB image outside of `seen`."""
    height, width = pixels.shape[:2]
    scale = min(1.0, math.sqrt(_PIXELS / (width * height)))
    grey = _reduce(pixels, scale)
    places = np.zeros_like(grey)
    for left, top, right, bottom in _unseen_marks(grey, seen, scale):
        places[max(0, top - _ROOM) : bottom + _ROOM, max(0, left - _ROOM) : right + _ROOM] = 1
    if places.mean() > _MOST_SHARE:
        return []
    boxes = sorted(_boxes_of(places), key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))
    return [_enlarge(box, scale, width, height) for box in boxes[:_MOST_PLACES]]


def _reduce(pixels: NDArray[np.uint8], scale: float) -> Grey:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _unseen_marks(grey: Grey, seen: Sequence[Box], scale: float) -> Iterator[Box]:
    """Yield the box of each row of marks in a reduced image."""
    edges = (cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, _block(3, 3)) > _EDGE).astype(np.uint8)
    rows = np.asarray(cv2.morphologyEx(edges, cv2.MORPH_CLOSE, _block(_GAP, 1)), np.uint8)
    covered = np.zeros_like(grey)
    for box in seen:
        left, top, right, bottom = (round(side * scale) for side in box)
        covered[top:bottom, left:right] = 1
    for left, top, right, bottom in _boxes_of(rows):
        part = np.s_[top:bottom, left:right]
        fits = _LOWEST <= bottom - top <= _HIGHEST and right - left >= _NARROWEST
        if fits and edges[part].mean() >= _LEAST_EDGES and covered[part].mean() < _SEEN:
            yield left, top, right, bottom


def _block(columns: int, rows: int) -> NDArray[np.uint8]:
    return np.ones((rows, columns), np.uint8)


def _boxes_of(mask: Grey) -> Iterator[Box]:
    """Yield the upright box around each patch of a mask."""
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    for left, top, columns, rows, _ in statistics[1:].tolist():
        yield left, top, left + columns, top + rows


def _enlarge(box: Box, scale: float, width: int, height: int) -> Box:
    left, top, right, bottom = (side / scale for side in box)
    return (
        math.floor(left),
        math.floor(top),
        min(width, math.ceil(right)),
        min(height, math.ceil(bottom)),
    )

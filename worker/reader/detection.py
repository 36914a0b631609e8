"""Finds where text is: slanted boxes around the lines of an image.

The constants are chosen with `python -m bench.quality.reader`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.reader.network import Input, Network
from worker.reader.page import Box
from worker.reader.unseen import find_unseen

#: (height, width, 3) RGB.
Pixels = NDArray[np.uint8]
#: (4, 2): top left, top right, bottom right, bottom left, pixels.
Quad = NDArray[np.float32]

#: Pixels that are looked at first, and where lines are low.
_PIXELS, _MOST_PIXELS = 900_000, 2_400_000
#: Lines lower than this, as they are looked at, are looked for again in more pixels; and the
#: height that they are to have then.
_LOW, _WANTED = 13.0, 18.0
#: A small image is shown up to so many times as large, with its shorter side near this.
_ENLARGED, _SHORT_SIDE = 2.0, 480
#: Sides are multiples of this.
_MULTIPLE = 32
#: Blank pixels around the image: text at its very edge is found too.
_MARGIN = 16
#: Probability of text in a pixel, and its mean over a line.
_IS_TEXT, _IS_LINE = 0.3, 0.5
#: The network marks the middle of lines: a box grows by its area over its outline, so many times.
_GROWTH = 1.6
#: Sides of a line, in pixels as looked at.
_SHORTEST = 3
#: Lines in an image, at most.
_MOST_LINES = 3000
#: What the network subtracts and divides by, as its makers trained it.
_MEAN, _DEVIATION = 0.5, 0.5


@dataclass(frozen=True, slots=True)
class Region:
    """A place with text."""

    quad: Quad
    #: Mean probability of text in it.
    score: float

    @property
    def box(self) -> Box:
        """Return the upright box around it."""
        (left, top), (right, bottom) = self.quad.min(axis=0), self.quad.max(axis=0)
        return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)

    def overlaps(self, other: Region) -> bool:
        """Tell whether the middle of one of the two lies in the box of the other."""
        return _lies_in(self, other.box) or _lies_in(other, self.box)

    @property
    def height(self) -> float:
        """Return the height of its line in pixels."""
        return float(np.linalg.norm(self.quad[3] - self.quad[0]))

    @property
    def width(self) -> float:
        """Return the length of its line in pixels."""
        return float(np.linalg.norm(self.quad[1] - self.quad[0]))


def _lies_in(region: Region, box: Box) -> bool:
    across, down = region.quad.mean(axis=0)
    return bool(box[0] <= across <= box[2] and box[1] <= down <= box[3])


class Detector:
    """Finds the lines of text in images."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def find_regions(self, pixels: Pixels) -> list[Region]:
        """Return the places with text in an RGB image, from top to bottom."""
        regions = self._find_at_once(pixels)
        for box in find_unseen(pixels, [region.box for region in regions]):
            regions += self._find_inside(pixels, box, regions)
        return sorted(regions, key=_middle)

    def _find_inside(self, pixels: Pixels, box: Box, known: Sequence[Region]) -> list[Region]:
        """Return the places with text in a part of an image that are not known already."""
        left, top, right, bottom = box
        corner = np.array([left, top], np.float32)
        inside = self._find_at_once(np.ascontiguousarray(pixels[top:bottom, left:right]))
        moved = [Region(region.quad + corner, region.score) for region in inside]
        return [region for region in moved if not any(map(region.overlaps, known))]

    def _find_at_once(self, pixels: Pixels) -> list[Region]:
        height, width = pixels.shape[:2]
        scale = _first_scale(width, height)
        regions = self._look(pixels, scale)
        heights = [region.height * scale for region in regions]
        if not heights or median(heights) >= _LOW:
            return regions
        most = math.sqrt(_MOST_PIXELS / (width * height))
        closer = min(most, scale * _WANTED / median(heights), 2 * _ENLARGED)
        return self._look(pixels, closer) if closer > 1.15 * scale else regions

    def _look(self, pixels: Pixels, scale: float) -> list[Region]:
        height, width = pixels.shape[:2]
        across = max(_MULTIPLE, round(width * scale))
        down = max(_MULTIPLE, round(height * scale))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        shown = cv2.resize(pixels, (across, down), interpolation=method)
        framed = _frame(np.asarray(shown, np.uint8))
        likely = self._network.run(_as_input(framed))[0, 0]
        back = np.array([width / across, height / down], np.float32)
        regions = [
            Region(_clip((quad - _MARGIN) * back, width, height), score)
            for quad, score in _find_quads(likely)
        ]
        kept = [r for r in regions if r.height >= 1 and r.width >= 1]
        return sorted(kept, key=_middle)


def _middle(region: Region) -> float:
    return float(region.quad[:, 1].mean())


def _first_scale(width: int, height: int) -> float:
    most = math.sqrt(_PIXELS / (width * height))
    return min(most, max(1.0, min(_ENLARGED, _SHORT_SIDE / min(width, height))))


def _frame(pixels: Pixels) -> Pixels:
    """Add a blank margin, and fill up to a multiple of the network's cells."""
    height, width = pixels.shape[:2]
    down = -(height + 2 * _MARGIN) % _MULTIPLE + _MARGIN
    right = -(width + 2 * _MARGIN) % _MULTIPLE + _MARGIN
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colour = [int(value) for value in np.median(edge, axis=0)]
    framed = cv2.copyMakeBorder(
        pixels, _MARGIN, down, _MARGIN, right, cv2.BORDER_CONSTANT, value=colour
    )
    return framed.astype(np.uint8, copy=False)


def _as_input(pixels: Pixels) -> Input:
    # the network was trained on blue before green before red
    values = pixels[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32)
    return np.ascontiguousarray((values / 255 - _MEAN) / _DEVIATION)


def _find_quads(likely: NDArray[np.float32]) -> list[tuple[Quad, float]]:
    """Return the slanted box around each patch of probable text, with its mean probability."""
    mask = cv2.dilate((likely > _IS_TEXT).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    quads = []
    for contour in contours[:_MOST_LINES]:
        centre, (across, down), angle = cv2.minAreaRect(contour)
        if min(across, down) < _SHORTEST:
            continue
        corners = np.asarray(cv2.boxPoints((centre, (across, down), angle)), np.float32)
        score = _mean_inside(likely, corners)
        if score < _IS_LINE:
            continue
        grown = across * down * _GROWTH / (across + down)
        around = cv2.boxPoints((centre, (across + grown, down + grown), angle))
        quads.append((_in_order(np.asarray(around, np.float32)), score))
    return quads


def _mean_inside(likely: NDArray[np.float32], corners: Quad) -> float:
    height, width = likely.shape
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width - 1, height - 1))
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (width - 1, height - 1))
    inside = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(inside, [(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(likely[top : bottom + 1, left : right + 1], inside)[0])


def _in_order(corners: Quad) -> Quad:
    """Return corners as the text runs: from the top left, clockwise."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    top_left, bottom_left = left[np.argsort(left[:, 1], kind="stable")]
    top_right, bottom_right = right[np.argsort(right[:, 1], kind="stable")]
    return np.stack([top_left, top_right, bottom_right, bottom_left])


def _clip(quad: Quad, width: int, height: int) -> Quad:
    return np.clip(quad, 0, (width, height)).astype(np.float32)

"""Measures what is wrong with an image: skew, grain, contrast, light and the size of its letters.

The constants are tuned with `python -m bench.quality.enhance` (errors of readings with and without
enhancement), and so that tests/unit/worker/enhance leave clean drawings alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

#: (height, width) grey levels.
Grey = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

#: Pixels around one that the ink's surroundings are averaged over: an eighth of the shorter side
#: between these two.
_AROUND, _AROUND_SHARE = (15, 61), 8
#: Grey levels by which ink differs from its surroundings: at least, and as share of this
#: percentile of all differences.
_INK, _INK_SHARE, _INK_PERCENTILE = 10.0, 0.35, 99.5
#: Grey levels that are counted as one brightness.
_BIN = 4
#: Pixels across which the paper beside a letter is seen.
_PAPER_SIDE = 15
#: Pixels of the strongest ink: at least, and one of so many; a lone word covers little.
_STRONGEST, _STRONGEST_OF = 40, 4000
#: Sides of the small image on which the light is measured, and of the letters' removal there.
_LIGHT_SIDE, _LIGHT_KERNEL = 32, 5
#: Percentiles between which the light differs.
_DARK, _LIGHT = 5, 95
#: Pixels across a place without letters, and the percentile of places that are the quietest: they
#: have no letters, and noise that white clips is measured too low.
_FLAT_SIDE, _QUIET_PERCENTILE = 9, 40
#: The kernel of `grain` makes 6 σ of σ; the mean of |N(0, σ)| is σ √(2/π).
_GRAIN_GAIN = 6
#: Times that an image is enlarged before letters are measured.
_ENLARGED = 2
#: A letter in enlarged pixels: lowest, narrowest, least area; width over height and share of the
#: image's height at most; and how many there must be.
_LETTER_LOW, _LETTER_NARROW, _LETTER_AREA = 6, 2, 12
_LETTER_WIDE, _LETTER_TALL, _LETTERS = 12, 0.5, 6
#: Below this share of the height of tall letters (a percentile), ink is a speck or a dot.
_SPECK, _TALL_PERCENTILE = 0.4, 90
#: Height in pixels at which large letters do not fall apart; the share of a letter's height around
#: it that belongs to it; and how many letters are small print.
_CLEAR, _NEAR, _PRINT_LETTERS = 16.0, 0.4, 12
#: Degrees of skew that are looked for to both sides.
MOST_SKEW = 12.0
#: Degrees from one coarse try to the next, and the reach and step of each finer round.
_COARSE, _FINER = 0.5, ((0.5, 0.1), (0.1, 0.02))
#: Points of ink that a skew is measured on: at least, at most.
_FEWEST_POINTS, _POINTS = 50, 20_000
#: Percentiles of the ink's places between which the text is wide.
_LEFT, _RIGHT = 1, 99
#: Weights over three rows that smooth the profile of ink.
_PROFILE = (0.25, 0.5, 0.25)
#: Avoids a division by 0.
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Skew:
    """How far the lines of text are from level; a gain is a ratio of sharpness."""

    #: Degrees to turn the image by, counter-clockwise.
    angle: float
    #: How much sharper the lines stand apart when turned, 1 for no difference.
    gain: float
    #: Pixels by which a line as wide as the text rises or falls.
    rise: float
    #: The gain in that half of the text, left or right, where it is less.
    steady: float


def smooth(grey: Grey) -> Grey:
    """Return the image without its finest grain."""
    return np.asarray(cv2.GaussianBlur(grey, (3, 3), 0), dtype=np.uint8)


def mark_ink(grey: Grey) -> Grey:
    """Return 255 where there is ink, dark on light or light on dark, else 0: (height, width)."""
    blurred = smooth(grey)
    narrow, wide = _AROUND
    side = min(max(narrow, min(grey.shape) // _AROUND_SHARE) | 1, wide)
    difference = cv2.absdiff(blurred, cv2.blur(blurred, (side, side)))
    strong = float(np.percentile(difference, _INK_PERCENTILE))
    limit = max(_INK, _INK_SHARE * strong)
    return np.asarray((difference > limit) * np.uint8(255), dtype=np.uint8)


def background(grey: Grey) -> float:
    """Return the most frequent brightness, in grey levels."""
    counts = np.bincount(grey.ravel() // _BIN, minlength=256 // _BIN)
    return float(int(counts.argmax()) * _BIN + _BIN // 2)


def contrast(grey: Grey) -> float:
    """Return by how many grey levels the strongest ink differs from what is around it."""
    blurred = smooth(grey)
    kernel = np.ones((_PAPER_SIDE, _PAPER_SIDE), np.uint8)
    without_dark = cv2.morphologyEx(blurred, cv2.MORPH_CLOSE, kernel)
    without_light = cv2.morphologyEx(blurred, cv2.MORPH_OPEN, kernel)
    inks = cv2.subtract(without_dark, blurred), cv2.subtract(blurred, without_light)
    count = min(grey.size, max(_STRONGEST, grey.size // _STRONGEST_OF))
    return float(max(np.partition(ink, -count, axis=None)[-count] for ink in inks))


def unevenness(grey: Grey) -> float:
    """Return by how many grey levels the paper's brightness differs over the image."""
    small = cv2.resize(grey, (_LIGHT_SIDE, _LIGHT_SIDE), interpolation=cv2.INTER_AREA)
    without_ink = cv2.dilate(small, np.ones((_LIGHT_KERNEL, _LIGHT_KERNEL), np.uint8))
    paper = cv2.medianBlur(without_ink, _LIGHT_KERNEL)
    return float(np.percentile(paper, _LIGHT) - np.percentile(paper, _DARK))


def grain(grey: Grey) -> float:
    """Return the standard deviation of the noise where nothing is drawn, in grey levels."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    response = np.abs(cv2.filter2D(grey.astype(np.float32), -1, kernel))
    flat = cv2.blur(response, (_FLAT_SIDE, _FLAT_SIDE))
    quiet = response[flat <= np.percentile(flat, _QUIET_PERCENTILE)]
    return float(quiet.mean() * np.sqrt(np.pi / 2) / _GRAIN_GAIN) if quiet.size else 0.0


def letter_height(grey: Grey, tallest: float = _LETTER_TALL) -> float | None:
    """Return the median height of letters in pixels; None where there are hardly any.

    What is higher than the share `tallest` of the image is no letter.
    """
    boxes = _ink_boxes(grey, tallest)
    if len(boxes) < _LETTERS:
        return None
    heights = boxes[:, 3]
    letters = heights[heights >= _SPECK * np.percentile(heights, _TALL_PERCENTILE)]
    return float(np.median(letters))


def small_print(grey: Grey, usual: float, tallest: float = _LETTER_TALL) -> float | None:
    """Return the median height of letters much lower than those of `usual` pixels.

    None where there are hardly any: dots, commas and what large strokes fall apart into stand
    inside large letters or close to them.
    """
    scale = _CLEAR / usual
    shrunk = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    large = _ink_boxes(np.asarray(shrunk, dtype=np.uint8), 1.0)
    large = large[large[:, 3] >= _SPECK * _CLEAR] / scale
    covered = np.zeros(grey.shape, dtype=np.uint8)
    for left, top, width, height in large:
        near = _NEAR * height
        corner = int(max(0, left - near)), int(max(0, top - near))
        covered[corner[1] : int(top + height + near), corner[0] : int(left + width + near)] = 1
    boxes = _ink_boxes(grey, tallest)
    x = np.clip(boxes[:, 0] + boxes[:, 2] / 2, 0, grey.shape[1] - 1).astype(np.intp)
    y = np.clip(boxes[:, 1] + boxes[:, 3] / 2, 0, grey.shape[0] - 1).astype(np.intp)
    apart = boxes[covered[y, x] == 0, 3]
    return float(np.median(apart)) if len(apart) >= _PRINT_LETTERS else None


def _ink_boxes(grey: Grey, tallest: float) -> Floats:
    """Return (n, 4) left, top, width and height in pixels of what may be letters."""
    enlarged = cv2.resize(grey, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_CUBIC)
    ink = mark_ink(np.asarray(enlarged, dtype=np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    stats = stats[1:]
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    likely = (height >= _LETTER_LOW) & (width >= _LETTER_NARROW)
    likely &= stats[:, cv2.CC_STAT_AREA] >= _LETTER_AREA
    likely &= (width < _LETTER_WIDE * height) & (height < tallest * ink.shape[0])
    return np.asarray(stats[likely, : cv2.CC_STAT_AREA] / _ENLARGED, dtype=np.float64)


def skew(grey: Grey) -> Skew:
    """Measure how far lines of text are from level, by how sharply rows of ink stand apart."""
    ink = mark_ink(grey)
    rows, columns = np.nonzero(ink)
    if len(rows) < _FEWEST_POINTS:
        return Skew(0.0, 1.0, 0.0, 1.0)
    step = max(1, len(rows) // _POINTS)
    y, x = rows[::step].astype(np.float64), columns[::step].astype(np.float64)
    x -= x.mean()
    angle = _sharpest_angle(x, y)
    width = float(np.percentile(x, _RIGHT) - np.percentile(x, _LEFT))
    rise = abs(np.tan(np.radians(angle))) * width
    middle = np.median(x)
    steady = min(_gain(x[half], y[half], angle) for half in (x <= middle, x >= middle))
    return Skew(round(angle, 2), _gain(x, y, angle), float(rise), steady)


def _sharpest_angle(x: Floats, y: Floats) -> float:
    """Return the angle in degrees at which points of ink, (n,) each, make the sharpest rows."""
    coarse = np.arange(-MOST_SKEW, MOST_SKEW + 0.01, _COARSE)
    best = max(coarse, key=lambda a: (_sharpness(x, y, a), -abs(a)))
    for reach, step in _FINER:
        near = np.arange(best - reach, best + reach + 1e-6, step)
        best = float(near[int(np.argmax([_sharpness(x, y, a) for a in near]))])
    return float(best)


def _gain(x: Floats, y: Floats, angle: float) -> float:
    return _sharpness(x, y, angle) / max(_sharpness(x, y, 0.0), _TINY)


def _sharpness(x: Floats, y: Floats, angle: float) -> float:
    """Return the energy of the differences between rows of ink turned by `angle` degrees."""
    turned = y - x * np.tan(np.radians(angle))
    low = turned.min()
    counts = np.bincount((turned - low).astype(np.intp))
    profile = np.convolve(counts, _PROFILE)
    return float((np.diff(profile) ** 2).sum())

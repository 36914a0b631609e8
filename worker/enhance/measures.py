"""What is wrong with an image: its skew, grain, contrast, light and the size of its letters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

#: Degrees of skew that are looked for to both sides.
MOST_SKEW = 12.0
#: Points of ink that a skew is measured on.
_POINTS = 20_000


@dataclass(frozen=True, slots=True)
class Skew:
    """How far the lines of text are from level."""

    #: Degrees to turn the image by, counter-clockwise.
    angle: float
    #: How much sharper the lines stand apart when turned, 1 for no difference.
    gain: float
    #: Pixels by which a line as wide as the text rises or falls.
    rise: float
    #: The gain in that half of the text, left or right, where it is less.
    steady: float


def smoothed(grey: Grey) -> Grey:
    """Return the image without its finest grain."""
    return np.asarray(cv2.GaussianBlur(grey, (3, 3), 0), dtype=np.uint8)


def ink_of(grey: Grey) -> Grey:
    """Return 255 where there is ink, dark on light or light on dark, else 0."""
    blurred = smoothed(grey)
    side = max(15, min(grey.shape) // 8) | 1
    around = cv2.blur(blurred, (min(side, 61), min(side, 61)))
    apart = cv2.absdiff(blurred, around)
    limit = max(10.0, 0.35 * float(np.percentile(apart, 99.5)))
    return np.asarray((apart > limit) * np.uint8(255), dtype=np.uint8)


def background(grey: Grey) -> float:
    """Return the brightness that most of the image has."""
    counts = np.bincount(grey.ravel() // 4, minlength=64)
    return float(int(counts.argmax()) * 4 + 2)


def contrast(grey: Grey) -> float:
    """Return by how many grey levels the strongest ink differs from what is around it."""
    blurred = smoothed(grey)
    wide = cv2.morphologyEx(blurred, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    low = cv2.morphologyEx(blurred, cv2.MORPH_OPEN, np.ones((15, 15), np.uint8))
    dark, light = cv2.subtract(wide, blurred), cv2.subtract(blurred, low)
    # a lone word covers little of its image
    share = min(grey.size, max(40, grey.size // 4000))
    return float(max(np.partition(apart, -share, axis=None)[-share] for apart in (dark, light)))


def unevenness(grey: Grey) -> float:
    """Return by how many grey levels the paper's brightness differs over the image."""
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA)
    paper = cv2.medianBlur(cv2.dilate(small, np.ones((5, 5), np.uint8)), 5)
    return float(np.percentile(paper, 95) - np.percentile(paper, 5))


def grain(grey: Grey) -> float:
    """Return the standard deviation of the noise where nothing is drawn, in grey levels."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    response = np.abs(cv2.filter2D(grey.astype(np.float32), -1, kernel))
    # the quietest places have no letters; noise clipped by white is measured too low
    flat = cv2.blur(response, (9, 9))
    quiet = response[flat <= np.percentile(flat, 40)]
    return float(quiet.mean() * np.sqrt(np.pi / 2) / 6) if quiet.size else 0.0


def letter_height(grey: Grey) -> float | None:
    """Return the median height of letters in pixels; None where there are hardly any."""
    twice = cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    ink = ink_of(np.asarray(twice, dtype=np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    width, height = stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]
    area = stats[1:, cv2.CC_STAT_AREA]
    likely = (height >= 6) & (width >= 2) & (width < 12 * height) & (area >= 12)
    likely &= height < 0.5 * ink.shape[0]
    if likely.sum() < 6:
        return None
    found = height[likely]
    # specks and dots are no letters
    return float(np.median(found[found >= 0.4 * np.percentile(found, 90)])) / 2


def skew(grey: Grey) -> Skew:
    """Measure how far lines of text are from level, by how sharply rows of ink stand apart."""
    ink = ink_of(grey)
    rows, columns = np.nonzero(ink)
    if len(rows) < 50:
        return Skew(0.0, 1.0, 0.0, 1.0)
    step = max(1, len(rows) // _POINTS)
    y, x = rows[::step].astype(np.float64), columns[::step].astype(np.float64)
    x -= x.mean()
    level = _sharpness(x, y, 0.0)
    coarse = np.arange(-MOST_SKEW, MOST_SKEW + 0.01, 0.5)
    best = max(coarse, key=lambda a: (_sharpness(x, y, a), -abs(a)))
    for reach, fineness in ((0.5, 0.1), (0.1, 0.02)):
        near = np.arange(best - reach, best + reach + 1e-6, fineness)
        scores = [_sharpness(x, y, a) for a in near]
        best = float(near[int(np.argmax(scores))])
    width = float(np.percentile(x, 99) - np.percentile(x, 1))
    rise = abs(np.tan(np.radians(best))) * width
    gain = _sharpness(x, y, best) / max(level, 1e-9)
    middle = np.median(x)
    steady = min(
        _sharpness(x[half], y[half], best) / max(_sharpness(x[half], y[half], 0.0), 1e-9)
        for half in (x <= middle, x >= middle)
    )
    return Skew(round(best, 2), gain, float(rise), steady)


def _sharpness(x: Floats, y: Floats, angle: float) -> float:
    """Return the energy of the profile of rows when turned by `angle` degrees."""
    turned = y - x * np.tan(np.radians(angle))
    low = turned.min()
    counts = np.bincount((turned - low).astype(np.intp))
    profile = np.convolve(counts, (0.25, 0.5, 0.25))
    return float((np.diff(profile) ** 2).sum())

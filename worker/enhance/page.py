"""Finds the corners of a photographed page, and shows it as seen from straight above.

The constants are tuned with `python -m bench.quality.enhance` (errors of readings with and without
enhancement), and so that tests/unit/worker/enhance leave clean drawings alone.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.enhance.measures import Grey

#: (n, 2) places in pixels, x before y.
Points = NDArray[np.float32]
#: (4, 2): top left, top right, bottom right, bottom left in pixels.
Corners = NDArray[np.float32]
#: (height, width, 3) RGB.
Pixels = NDArray[np.uint8]
#: A place on a straight line and its direction, (2,) each.
Line = tuple[Points, Points]

#: Pixels of the longer side on which corners are looked for.
_SIDE = 800
#: Pixels up to which letters are closed, and the smoothing after it.
_CLOSED, _SMOOTHED = 15, (5, 5)
#: Share of the outline's length by which a quadrangle may miss the contour.
_ROUGH = 0.03
#: Pixels of a side at least.
_SHORTEST_SIDE = 20
#: Share of a side at each end whose points are left out, because paper bends there.
_ENDS = 0.08
#: Distance of a side's points from it: a share of its length, and pixels.
_NEAR, _NEAR_PIXELS = 0.03, 2
#: Points along a side, at least, as share of its length.
_SEEN = 0.4
#: Accuracy in pixels and radians of the fitted side.
_FIT = 0.01
#: Determinant below which two sides are parallel.
_PARALLEL = 1e-3
#: Share of the image that a page covers, at least and at most.
_COVERS = (0.2, 0.97)
#: Share of a page that is free of ink, at least.
_PAPER = 0.6
#: Share of the ground around a page that may be as light as the page.
_LIGHT_GROUND = 0.15
#: Grey levels by which a page is lighter than the table it lies on.
_LIGHTER = 30
#: Pixels across the border between page and ground that count for neither.
_BORDER = 9
#: Share of a side by which a corner lies off an upright rectangle, at least.
_CROOKED = 0.015


def find_corners(grey: Grey) -> Corners | None:
    """Find a light page on darker ground that is seen at an angle; None if there is none."""
    scale = min(1.0, _SIDE / max(grey.shape))
    small = _bytes(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((_CLOSED, _CLOSED), np.uint8))
    closed = _bytes(cv2.GaussianBlur(closed, _SMOOTHED, 0))
    limit, light = cv2.threshold(closed, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    corners = _quadrangle(np.asarray(largest, dtype=np.int32))
    if corners is None or not _is_page(corners, closed, small > limit):
        return None
    return np.asarray(corners / scale, dtype=np.float32)


def straighten(pixels: Pixels, corners: Corners) -> tuple[Pixels, NDArray[np.float64]]:
    """Return the page (height, width, 3) as seen from straight above, and the (3, 3) matrix."""
    top, right, bottom, left = (
        float(np.linalg.norm(corners[a] - corners[b])) for a, b in ((0, 1), (1, 2), (2, 3), (3, 0))
    )
    width, height = max(1, round(max(top, bottom))), max(1, round(max(left, right)))
    upright = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(corners, upright)
    warped = cv2.warpPerspective(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, dtype=np.uint8), np.asarray(matrix, dtype=np.float64)


def _bytes(values: cv2.typing.MatLike) -> Grey:
    return np.asarray(values, dtype=np.uint8)


def _quadrangle(contour: NDArray[np.int32]) -> Corners | None:
    """Fit four straight sides to a contour and return where they meet, in order."""
    hull = cv2.convexHull(contour)
    around = cv2.arcLength(hull, True)
    rough = cv2.approxPolyDP(hull, _ROUGH * around, True)[:, 0].astype(np.float32)
    if len(rough) != 4:
        return None
    ordered = _ordered(rough)
    points = contour[:, 0].astype(np.float32)
    sides = [_fit_side(points, ordered[n], ordered[(n + 1) % 4]) for n in range(4)]
    exact = [_crossing(sides[n - 1], sides[n]) for n in range(4)]
    if any(point is None for point in exact):
        return None
    return np.array(exact, dtype=np.float32)


def _ordered(points: Points) -> Corners:
    sums, differences = points.sum(axis=1), points[:, 0] - points[:, 1]
    order = [sums.argmin(), differences.argmax(), sums.argmax(), differences.argmin()]
    return points[order]


def _fit_side(points: Points, start: Points, end: Points) -> Line | None:
    """Fit a line to the contour's points along one side, away from its corners."""
    along = end - start
    length = float(np.linalg.norm(along))
    if length < _SHORTEST_SIDE:
        return None
    unit = along / length
    offsets = points - start
    place = offsets @ unit
    distance = np.abs(offsets @ np.array([-unit[1], unit[0]]))
    inner = (place > _ENDS * length) & (place < (1 - _ENDS) * length)
    near = points[inner & (distance < _NEAR * length + _NEAR_PIXELS)]
    if len(near) < _SEEN * length:
        return None
    dx, dy, x, y = cv2.fitLine(near, cv2.DIST_HUBER, 0, _FIT, _FIT).ravel()
    return np.array((x, y), dtype=np.float32), np.array((dx, dy), dtype=np.float32)


def _crossing(one: Line | None, other: Line | None) -> Points | None:
    """Return the (2,) place where two lines cross; None without a line or if they are parallel."""
    if one is None or other is None:
        return None
    matrix = np.array([one[1], -other[1]], dtype=np.float64).T
    if abs(np.linalg.det(matrix)) < _PARALLEL:
        return None
    along = np.linalg.solve(matrix, (other[0] - one[0]).astype(np.float64))
    return np.asarray(one[0] + along[0] * one[1], dtype=np.float32)


def _is_page(corners: Corners, closed: Grey, light: NDArray[np.bool_]) -> bool:
    """Tell a page from a light block of letters.

    `closed` is the (height, width) image without letters; `light` marks its light pixels with
    letters still in it.
    """
    height, width = closed.shape
    area = float(cv2.contourArea(corners))
    if not _COVERS[0] * height * width < area < _COVERS[1] * height * width:
        return False
    if _is_upright(corners):
        return False
    inside = np.zeros_like(closed)
    cv2.fillConvexPoly(inside, np.rint(corners).astype(np.int32), 255)
    border = np.ones((_BORDER, _BORDER), np.uint8)
    core, ground = cv2.erode(inside, border) > 0, cv2.dilate(inside, border) == 0
    if not core.any() or not ground.any():
        return False
    filled = light[inside > 0].mean() > _PAPER and light[ground].mean() < _LIGHT_GROUND
    lighter = float(np.median(closed[core])) - float(np.median(closed[ground]))
    return bool(filled and lighter > _LIGHTER)


def _is_upright(corners: Corners) -> bool:
    """Tell whether the corners are those of an upright rectangle, which needs no straightening."""
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    upright = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    longer = max(np.ptp(corners[:, 0]), np.ptp(corners[:, 1]))
    return bool(np.abs(corners - upright).max() < _CROOKED * longer)

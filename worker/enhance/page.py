"""A photographed page: where its corners are, and what it looks like from straight above."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.enhance.measures import Grey

#: (4, 2): top left, top right, bottom right, bottom left in pixels.
Corners = NDArray[np.float32]
Pixels = NDArray[np.uint8]

#: Longer side on which corners are looked for.
_SIDE = 800
#: Share of the image that a page covers, at least and at most.
_COVERS = (0.2, 0.97)
#: Share of a page that is free of ink, at least.
_PAPER = 0.6
#: Grey levels by which a page is lighter than the table it lies on.
_LIGHTER = 30
#: Share of a side by which a corner lies off an upright rectangle, at least.
_CROOKED = 0.015


def corners(grey: Grey) -> Corners | None:
    """Find a light page on darker ground that is seen askew; None if there is none."""
    scale = min(1.0, _SIDE / max(grey.shape))
    small = _bytes(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    closed = _bytes(cv2.GaussianBlur(closed, (5, 5), 0))
    limit, light = cv2.threshold(closed, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    found = _quadrangle(np.asarray(largest, dtype=np.int32))
    if found is None or not _is_page(found, closed, small > limit):
        return None
    return np.asarray(found / scale, dtype=np.float32)


def straightened(pixels: Pixels, found: Corners) -> Pixels:
    """Return the page (height, width, 3) as seen from straight above."""
    top, right, bottom, left = (
        float(np.linalg.norm(found[a] - found[b])) for a, b in ((0, 1), (1, 2), (2, 3), (3, 0))
    )
    width, height = max(1, round(max(top, bottom))), max(1, round(max(left, right)))
    wanted = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(found, wanted)
    warped = cv2.warpPerspective(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, dtype=np.uint8)


def _bytes(values: cv2.typing.MatLike) -> Grey:
    return np.asarray(values, dtype=np.uint8)


def _quadrangle(contour: NDArray[np.int32]) -> Corners | None:
    """Fit four straight sides to a contour and return where they meet, in order."""
    hull = cv2.convexHull(contour)
    around = cv2.arcLength(hull, True)
    rough = cv2.approxPolyDP(hull, 0.03 * around, True)[:, 0].astype(np.float32)
    if len(rough) != 4:
        return None
    ordered = _ordered(rough)
    points = contour[:, 0].astype(np.float32)
    sides = [_side(points, ordered[n], ordered[(n + 1) % 4]) for n in range(4)]
    if any(side is None for side in sides):
        return None
    exact = [_crossing(sides[n - 1], sides[n]) for n in range(4)]
    if any(point is None for point in exact):
        return None
    return np.array(exact, dtype=np.float32)


def _ordered(points: Corners) -> Corners:
    sums, differences = points.sum(axis=1), points[:, 0] - points[:, 1]
    chosen = [sums.argmin(), differences.argmax(), sums.argmax(), differences.argmin()]
    return points[chosen]


def _side(points: Corners, start: Corners, end: Corners) -> tuple[Corners, Corners] | None:
    """Fit a line to the contour's points along one side, away from its corners."""
    along = end - start
    length = float(np.linalg.norm(along))
    if length < 20:
        return None
    unit = along / length
    offsets = points - start
    place = offsets @ unit
    apart = np.abs(offsets @ np.array([-unit[1], unit[0]]))
    near = points[(place > 0.08 * length) & (place < 0.92 * length) & (apart < 0.03 * length + 2)]
    if len(near) < 0.4 * length:
        return None
    dx, dy, x, y = cv2.fitLine(near, cv2.DIST_HUBER, 0, 0.01, 0.01).ravel()
    return np.array((x, y), dtype=np.float32), np.array((dx, dy), dtype=np.float32)


def _crossing(
    one: tuple[Corners, Corners] | None, other: tuple[Corners, Corners] | None
) -> Corners | None:
    if one is None or other is None:
        return None
    matrix = np.array([one[1], -other[1]], dtype=np.float64).T
    if abs(np.linalg.det(matrix)) < 1e-3:
        return None
    along = np.linalg.solve(matrix, (other[0] - one[0]).astype(np.float64))
    return np.asarray(one[0] + along[0] * one[1], dtype=np.float32)


def _is_page(found: Corners, closed: Grey, light: NDArray[np.bool_]) -> bool:
    """Tell a page from a light block of letters; `light` has the letters still in it."""
    height, width = closed.shape
    area = float(cv2.contourArea(found))
    if not _COVERS[0] * height * width < area < _COVERS[1] * height * width:
        return False
    box = np.array([found.min(axis=0), found.max(axis=0)])
    upright = np.array([box[0], (box[1][0], box[0][1]), box[1], (box[0][0], box[1][1])])
    if np.abs(found - upright).max() < _CROOKED * max(np.ptp(found[:, 0]), np.ptp(found[:, 1])):
        return False
    inside = np.zeros_like(closed)
    cv2.fillConvexPoly(inside, np.rint(found).astype(np.int32), 255)
    within = inside > 0
    core = cv2.erode(inside, np.ones((9, 9), np.uint8)) > 0
    beyond = cv2.dilate(inside, np.ones((9, 9), np.uint8)) == 0
    if not core.any() or not beyond.any():
        return False
    filled = light[within].mean() > _PAPER and light[beyond].mean() < 0.15
    lighter = float(np.median(closed[core])) - float(np.median(closed[beyond]))
    return bool(filled and lighter > _LIGHTER)

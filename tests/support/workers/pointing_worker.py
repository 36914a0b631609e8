"""A worker whose model sees colours: asked for `red`, it points at each red patch of its picture.

`celery -A tests.support.workers.pointing_worker worker …`. It answers on the grid of Qwen3-VL, for
whatever picture it is shown, so that a place that was mapped wrongly shows. Of `ghost` it talks
nonsense.
"""

from __future__ import annotations

import json
import math
from typing import Any

import cv2
import numpy as np
from PIL.Image import Image

import worker.app  # noqa: F401
from shared.queue import app
from worker.engine.api import EngineRequest
from worker.engine.simulated import engine
from worker.engine.simulated.answers import InventedAnswer, invent

__all__ = ["app", "point_at_colours"]

GRID = 1000
#: Red, green, blue; a sample is of a colour when no channel is further away.
COLOURS = {"red": (220, 20, 20), "green": (20, 170, 20), "blue": (20, 20, 220)}
_NEAR, _LEAST = 80, 30
_NONSENSE = (
    {"bbox_2d": [900, 0, 100, 10], "label": "ghost"},
    {"bbox_2d": [0, 0, 1200, 10], "label": "ghost"},
    {"bbox_2d": [0, 0, 10], "label": "ghost"},
    {"bbox_2d": [0, 0, 10, 10], "label": "nobody asked for it"},
)


def point_at_colours(request: EngineRequest) -> InventedAnswer:
    """Return what a perfect model would answer to a request for labels; else what is usual."""
    form = request.params.response_format
    if form is None or form.json_schema is None or form.json_schema.name != "boxes":
        return invent(request)
    labels = form.json_schema.schema_["items"]["properties"]["label"]["enum"]
    assert all(label in request.messages[-1].text for label in labels)
    image = request.messages[-1].images[0].image
    boxes = [box for label in labels for box in _boxes(image, label)]
    return InventedAnswer((json.dumps(boxes),))


def _boxes(image: Image, label: str) -> list[Any]:
    if label == "ghost":
        return list(_NONSENSE)
    if label not in COLOURS:
        return []
    pixels = np.asarray(image.convert("RGB"), dtype=np.int16)
    mask = (np.abs(pixels - np.array(COLOURS[label])).max(axis=2) <= _NEAR).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    return [
        {"bbox_2d": _grid(image, *map(int, stats[number][:4])), "label": label}
        for number in range(1, count)
        if stats[number][4] >= _LEAST
    ]


def _grid(image: Image, left: int, top: int, width: int, height: int) -> list[int]:
    across, down = GRID / image.width, GRID / image.height
    return [
        math.floor(left * across),
        math.floor(top * down),
        math.ceil((left + width) * across),
        math.ceil((top + height) * down),
    ]


setattr(engine, invent.__name__, point_at_colours)

"""Asks the model where things are, and reads what it answers: boxes on a grid of 0 to 1000."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.jobs import GenerationParams, Notice
from shared.jobs.answers.find import MOST_POINTED, FoundObject
from shared.jobs.answers.lines import Corner, Corners, box_around, corners_of
from shared.jobs.parameters.response_format import JsonSchema, ResponseFormat
from worker.evidence.plain_text import plain_letters
from worker.places.geometry import round_box, round_corners

#: Places along each side of a picture, whatever its size.
GRID = 1000
#: The warnings about boxes that make no sense, and about a list that is not whole.
BOXES_DROPPED, LIST_CUT_SHORT = "boxes_dropped", "objects_cut_short"
#: The warning about places that were seen and are not told, and all that a job is to hear of.
OBJECTS_LEFT_OUT = "objects_left_out"
ABOUT_SEARCHES = frozenset({BOXES_DROPPED, LIST_CUT_SHORT, OBJECTS_LEFT_OUT, "model_not_asked"})

_OBJECT = re.compile(r"\{[^{}]*\}")
#: Pixels by which corners may miss those of an upright box that is not slanted.
_STRAIGHT = 1.0


def pointing_params(params: GenerationParams, labels: Sequence[str]) -> GenerationParams:
    """Return parameters that hold an answer to a list of boxes of these labels."""
    edge = {"type": "integer", "minimum": 0, "maximum": GRID}
    item = {
        "type": "object",
        "properties": {
            "bbox_2d": {"type": "array", "items": edge, "minItems": 4, "maxItems": 4},
            "label": {"type": "string", "enum": list(labels)},
        },
        "required": ["bbox_2d", "label"],
        "additionalProperties": False,
    }
    schema = {"type": "array", "items": item, "maxItems": MOST_POINTED}
    form = ResponseFormat(type="json_schema", json_schema=JsonSchema(name="boxes", schema=schema))
    free = {"choices": (), "regex": None, "uncertain_below": None, "stop": ()}
    return params.model_copy(update={**free, "line_confidence": False, "response_format": form})


@dataclass(slots=True)
class PointedBoxes:
    """What the model has pointed at."""

    #: Each label with its box: left, top, right, bottom on the grid.
    boxes: list[tuple[str, tuple[float, float, float, float]]] = field(default_factory=list)
    #: What boxes were left out for, and how many.
    dropped: Counter[str] = field(default_factory=Counter)
    #: The list has its end.
    whole: bool = True

    @property
    def notices(self) -> list[Notice]:
        """Return what callers are to know of boxes that they do not get."""
        notices = []
        if self.dropped:
            count = sum(self.dropped.values())
            causes = ", ".join(f"{cause} ({times})" for cause, times in self.dropped.items())
            detail = f"{count} boxes that the model gave make no sense and were left out: {causes}."
            notices.append(Notice(code=BOXES_DROPPED, detail=detail))
        if not self.whole or len(self.boxes) + sum(self.dropped.values()) >= MOST_POINTED:
            detail = "The model's list of boxes ended before it was whole: there may be more."
            notices.append(Notice(code=LIST_CUT_SHORT, detail=detail))
        return notices


def read_boxes(answer: str, labels: Sequence[str]) -> PointedBoxes:
    """Return the boxes of an answer; those that make no sense are counted and left out."""
    pointed = PointedBoxes()
    try:
        items = json.loads(answer)
        pointed.whole = isinstance(items, list)
    except ValueError:
        items, pointed.whole = list(_whole_objects(answer)), False
    known = {plain_letters(label): label for label in reversed(labels)}
    for item in items if isinstance(items, list) else ():
        label, box = _read_item(item, known)
        cause = _doubt(label, box)
        if cause:
            pointed.dropped[cause] += 1
        elif (label, box) not in pointed.boxes:
            pointed.boxes.append((str(label), box))
    return pointed


def _whole_objects(answer: str) -> Iterator[Any]:
    """Yield the objects of a list that was cut off."""
    for match in _OBJECT.finditer(answer):
        try:
            yield json.loads(match[0])
        except ValueError:
            continue


def _read_item(item: Any, known: dict[str, str]) -> tuple[str | None, Any]:
    fields = item if isinstance(item, dict) else {}
    return known.get(plain_letters(str(fields.get("label", "")))), _as_box(fields.get("bbox_2d"))


def _as_box(value: Any) -> Any:
    """Return a box as four numbers; None for anything else."""
    if not isinstance(value, list) or len(value) != 4:
        return None
    is_number = all(isinstance(n, int | float) and not isinstance(n, bool) for n in value)
    return tuple(value) if is_number else None


def _doubt(label: str | None, box: Any) -> str:
    """Return why a box makes no sense; "" where it does."""
    if label is None:
        return "of something that was not asked for"
    if box is None or not all(0 <= edge <= GRID for edge in box):
        return "outside of the picture"
    left, top, right, bottom = box
    return "" if left < right and top < bottom else "with nothing in it"


def place_boxes(
    pointed: PointedBoxes,
    size: tuple[int, int],
    back: Callable[[Corner], Corner],
    within: tuple[float, float],
    confidence: float | None,
) -> list[FoundObject]:
    """Return boxes of the grid of a picture of this size as objects of the stored image.

    `back` maps places of the picture to places of the stored image, which is `within` wide and
    high. Boxes that lie beside it after that are counted as dropped.
    """
    objects = []
    for label, box in pointed.boxes:
        left, top, right, bottom = (
            edge / GRID * side for edge, side in zip(box, (*size, *size), strict=True)
        )
        first, second, third, fourth = map(back, corners_of((left, top, right, bottom)))
        placed = _place(label, (first, second, third, fourth), within, confidence)
        if placed is None:
            pointed.dropped["beside the stored image"] += 1
        else:
            objects.append(placed)
    return objects


def _place(
    label: str, corners: Corners, within: tuple[float, float], confidence: float | None
) -> FoundObject | None:
    around = box_around(corners)
    left, top = max(0.0, around[0]), max(0.0, around[1])
    right, bottom = min(within[0], around[2]), min(within[1], around[3])
    if left >= right or top >= bottom:
        return None
    slanted = not _is_upright(corners)
    return FoundObject(
        label=label,
        box=round_box((left, top, right, bottom), 0),
        polygon=round_corners(corners, 0) if slanted else None,
        confidence=confidence,
        source="model",
    )


def _is_upright(corners: Corners) -> bool:
    """Tell whether corners are about those of an upright box, wherever its text begins."""
    around = corners_of(box_around(corners))
    return all(
        min(abs(x - other_x) + abs(y - other_y) for other_x, other_y in around) <= _STRAIGHT
        for x, y in corners
    )

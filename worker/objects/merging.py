"""Joins what the model has pointed at in the tiles of an image: each thing once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.jobs.answers.find import FoundObject
from shared.jobs.answers.lines import Box, box_around, corners_of
from worker.places.geometry import area, shared
from worker.tiling import Tile

#: Of two boxes of one label that are the same thing: what they share over what both cover, and
#: over the smaller one.
_SAME, _WITHIN = 0.5, 0.7
#: Share of a tile's side within which a box ends at the tile's edge, and pixels of it at least.
_EDGE, _EDGE_PIXELS = 0.012, 4
#: Of two boxes that end at the seam between their tiles: what they share along it.
_LEVEL = 0.5


@dataclass(slots=True)
class _Placed:
    object: FoundObject
    #: Where the last tile that shows it is.
    tile: Box


def join_objects(parts: Sequence[tuple[Tile, Sequence[FoundObject]]]) -> list[FoundObject]:
    """Return the objects of all tiles in pixels of their images, in order.

    What two tiles show of one thing, whole or cut by their seam, is one object.
    """
    images: dict[int, list[_Placed]] = {}
    for tile, objects in parts:
        known = images.setdefault(tile.image, [])
        for one in objects:
            _add(known, _Placed(_move(one, tile), tile.box))
    return [one.object for _, known in sorted(images.items()) for one in known]


def _move(one: FoundObject, tile: Tile) -> FoundObject:
    """Return an object of a tile as one of the tile's image."""
    x, y = tile.box[:2]
    left, top, right, bottom = one.box
    update: dict[str, object] = {
        "box": (left + x, top + y, right + x, bottom + y),
        "image": tile.image,
    }
    if one.polygon:
        update["polygon"] = tuple((across + x, down + y) for across, down in one.polygon)
    return one.model_copy(update=update)


def _add(known: list[_Placed], new: _Placed) -> None:
    """Add an object, joined with those known ones that are the same thing."""
    for other in [one for one in known if _is_same(one, new)]:
        known.remove(other)
        new.object = _union(other.object, new.object)
    known.append(new)


def _is_same(one: _Placed, other: _Placed) -> bool:
    if one.object.label != other.object.label:
        return False
    if one.tile == other.tile:
        return overlap(one.object.box, other.object.box) > 1 - _EDGE
    common = area(shared(one.object.box, other.object.box))
    smaller = min(area(one.object.box), area(other.object.box))
    is_within = smaller > 0 and common >= _WITHIN * smaller
    if overlap(one.object.box, other.object.box) >= _SAME or is_within:
        return True
    return any(_meet(one, other, axis) or _meet(other, one, axis) for axis in (0, 1))


def overlap(one: Box, other: Box) -> float:
    """Return what two boxes share over what both cover."""
    common = area(shared(one, other))
    return common / (area(one) + area(other) - common) if common else 0.0


def _meet(before: _Placed, after: _Placed, axis: int) -> bool:
    """Tell whether two boxes end at the seam between their tiles, at one height.

    `axis` 0: the tile of the second lies to the right; 1: below.
    """
    start, stop = axis, axis + 2
    seam_before, seam_after = before.tile[stop], after.tile[start]
    if seam_after > seam_before + _EDGE_PIXELS or before.tile[start] >= after.tile[start]:
        return False
    slack = max(_EDGE_PIXELS, _EDGE * (before.tile[stop] - before.tile[start]))
    ends = before.object.box[stop] >= seam_before - slack
    begins = after.object.box[start] <= seam_after + slack
    return ends and begins and _level(before.object.box, after.object.box, 1 - axis) >= _LEVEL


def _level(one: Box, other: Box, axis: int) -> float:
    """Return what two boxes share along an axis over what both cover there."""
    start, stop = axis, axis + 2
    common = min(one[stop], other[stop]) - max(one[start], other[start])
    covered = max(one[stop], other[stop]) - min(one[start], other[start])
    return common / covered if covered > 0 else 0.0


def _union(one: FoundObject, other: FoundObject) -> FoundObject:
    """Return two parts of one thing as one object, as sure as the surer one."""
    box = box_around([*corners_of(one.box), *corners_of(other.box)])
    sure = [part.confidence for part in (one, other) if part.confidence is not None]
    update = {"box": box, "polygon": None, "confidence": max(sure, default=None)}
    return other.model_copy(update=update)


def without_doubles(
    printed: Sequence[FoundObject], pointed: Sequence[FoundObject]
) -> list[FoundObject]:
    """Return what the model has pointed at without what stands in the text at the same place."""
    return [
        one
        for one in pointed
        if not any(
            (other.label, other.image, other.page) == (one.label, one.image, one.page)
            and overlap(other.box, one.box) >= _SAME
            for other in printed
        )
    ]

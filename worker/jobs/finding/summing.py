"""The end of a job that looked for something: all places together, and a sentence about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from shared.jobs import FoundObject, Notice, SearchTerms, TileInfo, TileOutcome, TileOutput
from shared.jobs.answers.find import MOST_OBJECTS, MOST_ON_SHEET, sum_up
from shared.jobs.answers.lines import box_around
from shared.jobs.row import JobRow
from worker.jobs.placing import way_back
from worker.jobs.results import EngineAnswer
from worker.objects.merging import join_objects, without_doubles
from worker.objects.pointing import LIST_CUT_SHORT, OBJECTS_LEFT_OUT
from worker.places.geometry import area, round_box, round_corners, shared
from worker.places.seen import SeenImage, seen_lines
from worker.tiling import Tile


def finish_search(row: JobRow, answer: EngineAnswer) -> EngineAnswer:
    """Return an answer with all places and a sentence about them; of another job as it is."""
    terms = row.input.find
    if terms is None:
        return answer
    objects = list(answer.objects or ())
    if row.input.document is None:
        # a job whose image is not cut has one
        pointed = [one.model_copy(update={"image": one.image or 0}) for one in objects]
        objects = objects_of_images(terms, answer.seen or (), pointed)
    kept, notices = bound_objects(objects)
    codes = {notice.code for notice in (*answer.notices, *notices)}
    text = sum_up(terms, objects, whole=codes.isdisjoint((OBJECTS_LEFT_OUT, LIST_CUT_SHORT)))
    completion = replace(answer.completion, text=text, token_ids=(), lines=None)
    return replace(
        _mark_parts(answer, kept),
        completion=completion,
        objects=tuple(kept),
        notices=(*answer.notices, *notices),
    )


def objects_of_images(
    terms: SearchTerms, seen: Sequence[SeenImage], pointed: Sequence[FoundObject], digits: int = 0
) -> list[FoundObject]:
    """Return what stands in the text of images, and what the model has pointed at in them."""
    printed: list[FoundObject] = []
    if seen:
        # the extra is installed where anything was seen
        from worker.objects.texts import find_in_text

        printed = find_in_text(terms, seen_lines(seen), digits)
    objects = [*printed, *without_doubles(printed, pointed)]
    order = {label: number for number, label in enumerate(terms.labels)}
    return sorted(objects, key=lambda one: (one.image or 0, order[one.label]))


def bound_objects(
    objects: Sequence[FoundObject], most: int = MOST_OBJECTS
) -> tuple[list[FoundObject], list[Notice]]:
    """Return the first `most` objects, few of a label in one place, and what callers hear of it."""
    counts = Counter[tuple[str, int | None, int | None]]()
    kept: list[FoundObject] = []
    for one in objects:
        place = (one.label, one.image, one.page)
        counts[place] += 1
        if counts[place] <= MOST_ON_SHEET and len(kept) < most:
            kept.append(one)
    if len(kept) == len(objects):
        return kept, []
    detail = (
        f"Only the first {len(kept)} places are told: {MOST_ON_SHEET} of each label on an image "
        f"or page and {most} in all at most."
    )
    return kept, [Notice(code=OBJECTS_LEFT_OUT, detail=detail)]


def _mark_parts(answer: EngineAnswer, objects: Sequence[FoundObject]) -> EngineAnswer:
    """Return an answer whose tiles tell whether anything was seen in them; no part has a text."""
    if answer.paging is not None:
        pages = tuple(one.model_copy(update={"text": None}) for one in answer.paging.outputs)
        return replace(answer, paging=replace(answer.paging, outputs=pages))
    if answer.tiling is None:
        return answer
    outputs = tuple(_mark_tile(one, objects) for one in answer.tiling.outputs)
    return replace(answer, tiling=replace(answer.tiling, outputs=outputs))


def _mark_tile(tile: TileOutput, objects: Sequence[FoundObject]) -> TileOutput:
    shows = any(one.image == tile.image and area(shared(one.box, tile.box)) for one in objects)
    return tile.model_copy(update={"text": None, "evidence": shows})


def join_pointed(
    tiles: Sequence[TileInfo], outcomes: Sequence[TileOutcome]
) -> tuple[FoundObject, ...]:
    """Return what the model has pointed at in all tiles, in pixels of the stored images."""
    parts = [(Tile(**info.placed), one.objects) for info, one in zip(tiles, outcomes, strict=True)]
    turns = {info.image: info for info in tiles if info.turn}
    return tuple(
        _turn_back(one, turns[one.image or 0]) if (one.image or 0) in turns else one
        for one in join_objects(parts)
    )


def _turn_back(one: FoundObject, tile: TileInfo) -> FoundObject:
    """Return an object of a turned image as one of the stored image."""
    back = way_back(tile)
    left, top, right, bottom = one.box
    box = round_box(box_around([back((left, top)), back((right, bottom))]), 0)
    if one.polygon is None:
        return one.model_copy(update={"box": box})
    first, second, third, fourth = map(back, one.polygon)
    polygon = round_corners((first, second, third, fourth), 0)
    return one.model_copy(update={"box": box, "polygon": polygon})

"""The lines of an answer with their places, as far as the second reader has seen them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from shared.jobs import JobInput, TextLine, TileInfo, TileOutcome
from shared.jobs.answers.lines import Corner
from worker.places.geometry import map_rows, turn_back
from worker.places.seen import SeenImage
from worker.places.tiles import join_tiles
from worker.tiling import Tile


def place_answer(
    job: JobInput,
    text: str,
    known: Sequence[TextLine] | None,
    seen: Sequence[SeenImage],
    digits: int = 0,
) -> tuple[TextLine, ...]:
    """Return the lines of a text with their places; `known` are some of them without.

    Places have so many digits behind the point.
    """
    # the extra is installed where anything was seen
    from worker.places.lines import place_lines

    waiting = list(known or ())
    return tuple(
        _merge(job, line, take_line(waiting, line.text))
        for line in place_lines(text, seen, job.boxes, digits)
    )


def take_line(waiting: list[TextLine], text: str) -> TextLine | None:
    """Take the next line with this text out of those that wait."""
    line = next((line for line in waiting if line.text == text), None)
    if line is not None:
        waiting.remove(line)
    return line


def _merge(job: JobInput, placed: TextLine, known: TextLine | None) -> TextLine:
    """Return a placed line with what is known of it from whoever has read it."""
    if job.reader == "second":
        confidence = known.confidence if known else placed.confidence
        update = {"agreement": None, "other": None, "confidence": confidence}
    elif job.reader == "both" and known is not None:
        names = ("confidence", "agreement", "other")
        update = {name: getattr(known, name) for name in names}
    else:
        update = {"confidence": known.confidence if known else None}
    return placed.model_copy(update=update)


def join_seen(
    tiles: Sequence[TileInfo], outcomes: Sequence[TileOutcome], *, wanted: bool
) -> tuple[SeenImage, ...] | None:
    """Return what was seen in all tiles, in pixels of their images; None unless it is `wanted`."""
    if not wanted:
        return None
    parts = [(Tile(**info.placed), one.rows) for info, one in zip(tiles, outcomes, strict=True)]
    turns = {info.image: way_back(info) for info in tiles if info.turn}
    return tuple(
        replace(one, rows=map_rows(one.rows, turns[one.image])) if one.image in turns else one
        for one in join_tiles(parts)
    )


def way_back(tile: TileInfo) -> Callable[[Corner], Corner]:
    """Return what maps a place of a turned image, which `tile` is part of, to the stored one."""
    left, top, _, _ = tile.box
    _, _, right, bottom = tile.placed["box"]
    # of the stored image, as far as the turn asks for them
    width = left + (bottom if tile.turn == 270 else right)
    height = top + (right if tile.turn == 90 else bottom)
    return lambda place: turn_back(place, tile.turn, width, height)

"""Joins what was seen in the tiles of an image: each piece once, and rows across tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.jobs.answers.lines import ALONG, Box, SeenPiece, SeenRow, SeenWord, between, box_around
from worker.places.geometry import area, shared
from worker.places.seen import SeenImage
from worker.tiling import Tile

#: Share of the smaller of two pieces that both cover, of one piece that two tiles show.
_SAME = 0.5
#: Share of the lower of two pieces' heights that they have in common, in one row.
_LEVEL = 0.5

#: A tile, and what was seen in it.
Part = tuple[Tile, Sequence[SeenRow]]


def join_tiles(parts: Sequence[Part]) -> list[SeenImage]:
    """Return what was seen in each image, in pixels of the image, from its tiles in order."""
    images: dict[int, list[SeenRow]] = {}
    for tile, rows in parts:
        moved = [row.moved(*tile.box[:2]) for row in rows]
        known = images.setdefault(tile.image, [])
        if tile.axis == "x":
            known[:] = _side_by_side(known, moved)
        elif tile.overlap:
            known += _without_doubles(known, moved)
        else:
            known += moved
    return [SeenImage(tuple(rows), image) for image, rows in images.items()]


def _without_doubles(known: list[SeenRow], rows: Sequence[SeenRow]) -> list[SeenRow]:
    """Leave out of both what the other has as well, and larger."""
    kept = []
    for row in rows:
        pieces = tuple(piece for piece in row.pieces if not _is_known(known, piece))
        if pieces:
            kept.append(SeenRow(pieces=pieces))
    return kept


def _is_known(known: list[SeenRow], piece: SeenPiece) -> bool:
    """Tell whether a piece is seen already; a smaller part of it is left out of what is known."""
    box = box_around(piece.corners)
    for at, row in enumerate(known):
        for other in row.pieces:
            seen = box_around(other.corners)
            if area(shared(box, seen)) < _SAME * min(area(box), area(seen)):
                continue
            if area(seen) >= area(box):
                return True
            rest = tuple(one for one in row.pieces if one is not other)
            known[at] = SeenRow(pieces=rest)
            return False
    return False


def _side_by_side(left: Sequence[SeenRow], right: Sequence[SeenRow]) -> list[SeenRow]:
    """Put rows behind those at the same height; the others stand below."""
    rows = list(left)
    for row in right:
        # the rows of the tile to the left came last
        level = next((n for n in reversed(range(len(rows))) if _is_level(rows[n], row)), None)
        if level is None:
            rows.append(row)
        else:
            rows[level] = _join_rows(rows[level], row)
    return rows


def _join_rows(left: SeenRow, right: SeenRow) -> SeenRow:
    """Return two rows as one; of what both show, each has the half that lies further inside."""
    before, after = left.pieces[-1], right.pieces[0]
    stop, start = box_around(before.corners)[2], box_around(after.corners)[0]
    middle = (start + stop) / 2
    pieces = [*left.pieces[:-1]]
    if start < stop:
        pieces += _keep_words(before, lambda x: x <= middle)
        pieces += _keep_words(after, lambda x: x > middle)
    else:
        pieces += [before, after]
    return SeenRow(pieces=(*pieces, *right.pieces[1:]))


def _keep_words(piece: SeenPiece, keeps: Callable[[float], bool]) -> list[SeenPiece]:
    """Return a piece with those of its words whose middle is kept; [] without any."""
    words = [word for word in piece.words if keeps(_middle(piece, word))]
    return [piece.model_copy(update={"words": tuple(words)})] if words else []


def _middle(piece: SeenPiece, word: SeenWord) -> float:
    share = (word.start + word.stop) / 2 / ALONG
    return between(piece.corners[0], piece.corners[1], share)[0]


def _is_level(one: SeenRow, other: SeenRow) -> bool:
    if not one.pieces or not other.pieces:
        return False
    first, second = _nearest(one, -1), _nearest(other, 0)
    common = min(first[3], second[3]) - max(first[1], second[1])
    return common >= _LEVEL * min(first[3] - first[1], second[3] - second[1])


def _nearest(row: SeenRow, at: int) -> Box:
    return box_around(row.pieces[at].corners)

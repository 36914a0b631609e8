"""Streams a tile's text while it is being written, as far as nothing can change it any more."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from worker.tiling.tile import Tile

#: A text that begins so may continue a table, or stand in a fence that the joined text leaves out.
_NOT_FINAL = ("|", "`")


def can_stream(tiles: Sequence[Tile]) -> list[bool]:
    """Tell of each tile whether its text can be streamed: it shares nothing with a neighbour."""
    clean = [tile.axis == "y" and not tile.overlap for tile in tiles]
    # an empty line separates two images
    first = [bool(n) and tile.image != tiles[n - 1].image for n, tile in enumerate(tiles)]
    return [
        above and below and not new
        for (above, below), new in zip(pairwise([*clean, True]), first, strict=True)
    ]


class LiveText:
    """The text of one such tile as it comes, without what the joined text may leave out of it."""

    def __init__(self) -> None:
        self._pending = ""
        self._started = False

    def take(self, text: str) -> str:
        """Return what can be shown now that `text` was written."""
        self._pending += text
        if not self._started:
            self._pending = self._pending.lstrip("\n")
            words = self._pending.lstrip()
            if not words or words.startswith(_NOT_FINAL):
                return ""
            self._started = True
        shown = self._pending.rstrip()
        self._pending = self._pending[len(shown) :]
        return shown

"""A tile's text told while it is still being written, as far as nothing can change it any more."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from worker.tiling.tile import Tile

#: A text that begins so may be a table that goes on, or stand in a fence that goes.
_HELD = ("|", "`")


def can_be_told_live(tiles: Sequence[Tile]) -> list[bool]:
    """Tell which tiles' lines stay as they are: those that share nothing with a neighbour."""
    apart = [tile.axis == "y" and not tile.overlap for tile in tiles]
    # between images stands an empty line
    first = [bool(n) and tile.image != tiles[n - 1].image for n, tile in enumerate(tiles)]
    return [
        here and after and not new
        for (here, after), new in zip(pairwise([*apart, True]), first, strict=True)
    ]


class LiveText:
    """The text of one such tile as it comes, without what the joined text may leave out of it."""

    def __init__(self) -> None:
        self._waiting = ""
        self._begun = False

    def take(self, text: str) -> str:
        """Return what can be told now that `text` was written."""
        self._waiting += text
        if not self._begun:
            self._waiting = self._waiting.lstrip("\n")
            words = self._waiting.lstrip()
            if not words or words.startswith(_HELD):
                return ""
            self._begun = True
        told = self._waiting.rstrip()
        self._waiting = self._waiting[len(told) :]
        return told

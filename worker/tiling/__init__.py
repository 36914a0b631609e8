"""Long images: where they are cut into tiles, and how the tiles' texts become one again.

    tiles = cut(image, budget_pixels)         # one tile if the image needs none
    text = merge([(tile, answer), …])         # answer is None for a tile that failed
    pieces = settle_pieces(tiles, answers)    # what is final of that text after some answers

`cut` is deterministic, takes time linear in the pixels and works on a window at a time. `Tile`
holds all that `merge` needs, so that it can be stored as JSON and made again by `Tile(**stored)`.
"""

from worker.tiling.cutting import cut
from worker.tiling.live import LiveText, can_stream
from worker.tiling.merging import merge, settle_pieces, unread_mark
from worker.tiling.tile import Box, Tile

__all__ = [
    "Box",
    "LiveText",
    "Tile",
    "can_stream",
    "cut",
    "merge",
    "settle_pieces",
    "unread_mark",
]

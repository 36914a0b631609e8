"""Long images: where they are cut into tiles, and how the tiles' texts become one again.

    tiles = cut(image, budget_pixels)       # one tile if the image needs none
    text = merge([(tile, answer), …])       # answer is None for a tile that failed
    pieces = settled(tiles, answers)        # what is sure of that text when some answers are there

`cut` is deterministic, takes time linear in the pixels and works on a window at a time. `Tile`
says all that `merge` needs, so that it can be stored as JSON and made again by `Tile(**stored)`.
"""

from worker.tiling.cutting import cut
from worker.tiling.live import LiveText, can_be_told_live
from worker.tiling.merging import merge, settled, unread
from worker.tiling.tile import Box, Tile

__all__ = [
    "Box",
    "LiveText",
    "Tile",
    "can_be_told_live",
    "cut",
    "merge",
    "settled",
    "unread",
]

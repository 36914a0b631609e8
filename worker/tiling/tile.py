"""A tile: a part of a long image that is read on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Left, top, right, bottom in the image's pixels, right and bottom excluded.
Box = tuple[int, int, int, int]
#: Where the neighbour lies: "y" below, "x" to the right.
Axis = Literal["x", "y"]


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of an image, and how it joins the tile before it in reading order."""

    #: Place in reading order, from 0.
    order: int
    box: Box
    #: "y": below the tile before, or the start of a column. "x": to its right.
    axis: Axis = "y"
    #: Pixels along `axis` that the tile before shows too; 0 at a clean cut.
    overlap: int = 0
    #: Something new begins here: the gap is wider than those around it, or it is a new column.
    breaks: bool = True
    #: Middle of each line of text in the image's pixels; only where tiles lie side by side.
    lines: tuple[int, ...] = ()
    #: Which of several images it is part of.
    image: int = 0

    def __post_init__(self) -> None:
        """Accept lists for tuples, as JSON has them."""
        left, top, right, bottom = self.box
        object.__setattr__(self, "box", (left, top, right, bottom))
        object.__setattr__(self, "lines", tuple(self.lines))

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.box[3] - self.box[1]

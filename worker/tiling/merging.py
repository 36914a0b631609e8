"""The texts of an image's tiles as one text: in order, nothing doubled and nothing lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest

from worker.tiling import seams, tables
from worker.tiling.tile import Tile

#: A tile and the text read from it, or None if it could not be read.
Part = tuple[Tile, str | None]

_FENCED = re.compile(r"\s*```[a-zA-Z]*\n(.*?)\n?```\s*", re.DOTALL)


def unread(tile: Tile) -> str:
    """Return the line that stands for a tile that could not be read."""
    left, top, right, bottom = tile.box
    image = f"image {tile.image + 1}, " if tile.image else ""
    return f"[unread: {image}x {left}-{right}, y {top}-{bottom}]"


def merge(parts: Sequence[Part], gap_mark: Callable[[Tile], str] = unread) -> str:
    """Join the texts of tiles in reading order.

    Lines in an overlap are told once; a Markdown table that crosses a seam stays one table; a tile
    without text (None) leaves the line that `gap_mark` gives. An empty line parts several images.
    """
    ordered = sorted(parts, key=lambda part: part[0].order)
    return "".join(settled([tile for tile, _ in ordered], [text for _, text in ordered], gap_mark))


def settled(
    tiles: Sequence[Tile],
    texts: Sequence[str | None],
    gap_mark: Callable[[Tile], str] = unread,
) -> list[str]:
    """Return what each of the first tiles adds to the joined text.

    `texts` are those of the first of all `tiles`, which are in reading order. A piece holds only
    what no later tile can change, so that the pieces together begin what `merge` gives for all
    tiles, whatever the others say; with every text they are all of it.
    """
    joined, pieces = _Text(), list[str]()
    rows = _rows(tiles)
    for row, after in zip_longest(rows, rows[1:]):
        if len(pieces) + len(row) > len(texts):
            break
        read = texts[len(pieces) : len(pieces) + len(row)]
        joined.take(list(zip(row, read, strict=True)), gap_mark)
        pieces += [""] * (len(row) - 1)
        pieces.append(joined.settle(shown_again=bool(after and after[0].overlap)))
    return pieces + [""] * (len(texts) - len(pieces))


def _rows(tiles: Sequence[Tile]) -> list[list[Tile]]:
    """Group tiles that lie side by side."""
    rows: list[list[Tile]] = []
    for tile in tiles:
        if tile.axis == "x" and rows:
            rows[-1].append(tile)
        else:
            rows.append([tile])
    return rows


@dataclass(slots=True)
class _Text:
    """What is merged so far."""

    lines: list[str] = field(default_factory=list)
    #: Which of several images the tile before is part of.
    image: int = 0
    #: The lines come to the very end of the tile before.
    whole: bool = False
    #: Lines of the last tiles taken, before they were joined.
    latest: int = 0
    #: So many of the lines stay as they are.
    final: int = 0

    def take(self, row: Sequence[Part], gap_mark: Callable[[Tile], str]) -> None:
        tile = row[0][0]
        read = _side_by_side(row, gap_mark)
        if tile.image != self.image:
            self.lines += ["", *read] if self.lines and read else read
        elif not self.whole or row[0][1] is None:
            self.lines += read
        elif tile.overlap:
            self.lines[self.final :] = _overlapped(self.lines[self.final :], read, tile)
        elif tile.breaks:
            apart = [""] if tables.apart(self.lines, read) else []
            self.lines += [*apart, *read]
        else:
            self._go_on(read)
        self.image = tile.image
        self.whole, self.latest = row[-1][1] is not None, len(read)

    def settle(self, *, shown_again: bool) -> str:
        """Return what is final from now on: what no overlap can show again."""
        held = min(seams.MOST, self.latest) if shown_again else 0
        first, self.final = self.final, max(self.final, len(self.lines) - held)
        text = "\n".join(self.lines[first : self.final])
        return "\n" + text if first and self.final > first else text

    def _go_on(self, read: list[str]) -> None:
        below = tables.continued(self.lines, read)
        if below == read and tables.apart(self.lines, read) and not _same_width(self.lines, read):
            below = ["", *read]
        self.lines += below


def _same_width(above: list[str], below: list[str]) -> bool:
    return tables.columns(above[-1]) == tables.columns(below[0])


def _overlapped(above: list[str], below: list[str], tile: Tile) -> list[str]:
    """Join over an overlap; a rule that the second reader put into the table is left out."""
    pitch = tile.height / max(1, len(below))
    near = above[-3:]
    row = next((line for line in reversed(near) if tables.is_row(line)), None)
    start = next((n for n, line in enumerate(below[:3]) if tables.is_row(line)), None)
    if (
        row is not None
        and start is not None
        and tables.columns(row) == tables.columns(below[start])
    ):
        below = [x for n, x in enumerate(below) if not (n <= start + 1 and tables.is_rule(x))]
    return seams.lines_across(above, below, tile.overlap / pitch)


def _lines(text: str | None, tile: Tile, gap_mark: Callable[[Tile], str]) -> list[str]:
    if text is None:
        return [gap_mark(tile)]
    fenced = _FENCED.fullmatch(text)
    inner = (fenced[1] if fenced and "```" not in fenced[1] else text).strip("\n")
    return inner.split("\n") if inner.strip() else []


@dataclass(slots=True)
class _Placed:
    """A line at a height in the image."""

    y: int
    text: str
    #: The tile that its end was read from.
    tile: int


def _side_by_side(row: Sequence[Part], gap_mark: Callable[[Tile], str]) -> list[str]:
    """Join tiles from left to right, line by line where they lie at one height."""
    done: list[str] = []
    placed: list[_Placed] | None = None
    for tile, text in row:
        read = _lines(text, tile, gap_mark)
        heights = tile.lines if text is not None and len(read) == len(tile.lines) else None
        if placed is not None and heights is not None and not tile.breaks:
            _extend(placed, tile, heights, read)
            continue
        done += [line.text for line in placed or []]
        placed = None
        if heights is None:
            done += read
        else:
            placed = [_Placed(y, x, tile.order) for y, x in zip(heights, read, strict=True)]
    return done + [line.text for line in placed or []]


def _extend(placed: list[_Placed], tile: Tile, heights: Sequence[int], read: list[str]) -> None:
    """Put each line behind the one at its height; one at a new height stands by itself."""
    spaces = [b - a for a, b in pairwise(heights)] + [b.y - a.y for a, b in pairwise(placed)]
    reach = min((space for space in spaces if space > 0), default=tile.height) / 2
    for y, text in zip(heights, read, strict=True):
        near = min(placed, key=lambda line: abs(line.y - y), default=None)
        if near is not None and abs(near.y - y) <= reach and near.tile == tile.order - 1:
            shared = tile.overlap / tile.width * max(1, len(text.split()))
            near.text = seams.words_across(near.text, text, shared)
            near.y, near.tile = y, tile.order
        else:
            placed.append(_Placed(y, text, tile.order))
    placed.sort(key=lambda line: line.y)

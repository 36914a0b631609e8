"""Joins the texts of an image's tiles to one: in order, nothing doubled and nothing lost.

The constants are tuned with `make tiling`.
"""

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
#: Lines next to a seam in which a row of a table that crosses it is looked for.
_NEAR = 3


def unread_mark(tile: Tile) -> str:
    """Return the line that stands for a tile that could not be read."""
    left, top, right, bottom = tile.box
    image = f"image {tile.image + 1}, " if tile.image else ""
    return f"[unread: {image}x {left}-{right}, y {top}-{bottom}]"


def merge(parts: Sequence[Part], gap_mark: Callable[[Tile], str] = unread_mark) -> str:
    """Join the texts of tiles in reading order.

    Lines in an overlap appear once; a Markdown table that crosses a seam stays one table; a tile
    without text (None) leaves the line that `gap_mark` returns. An empty line separates images.
    """
    ordered = sorted(parts, key=lambda part: part[0].order)
    tiles, texts = [tile for tile, _ in ordered], [text for _, text in ordered]
    return "".join(settle_pieces(tiles, texts, gap_mark))


def settle_pieces(
    tiles: Sequence[Tile],
    texts: Sequence[str | None],
    gap_mark: Callable[[Tile], str] = unread_mark,
) -> list[str]:
    """Return what each tile with a text adds to the joined text, as far as that is final.

    `tiles` are all tiles in reading order, `texts` those of the first of them. A piece holds only
    what no later tile can change: the pieces together are the beginning of what `merge` returns
    for all tiles, whatever the other texts are, and all of it once every text is there.
    """
    joined, pieces = _Text(), list[str]()
    rows = _rows(tiles)
    for row, after in zip_longest(rows, rows[1:]):
        if len(pieces) + len(row) > len(texts):
            break
        row_texts = texts[len(pieces) : len(pieces) + len(row)]
        joined.take(list(zip(row, row_texts, strict=True)), gap_mark)
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
    """The text of the tiles so far."""

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
        """Add the texts of tiles that lie side by side."""
        tile = row[0][0]
        lines = _side_by_side(row, gap_mark)
        if tile.image != self.image:
            self.lines += ["", *lines] if self.lines and lines else lines
        elif not self.whole or row[0][1] is None:
            self.lines += lines
        elif tile.overlap:
            self.lines[self.final :] = _join_overlap(self.lines[self.final :], lines, tile)
        elif tile.breaks:
            separator = [""] if tables.must_separate(self.lines, lines) else []
            self.lines += [*separator, *lines]
        else:
            self._continue(lines)
        self.image = tile.image
        self.whole, self.latest = row[-1][1] is not None, len(lines)

    def settle(self, *, shown_again: bool) -> str:
        """Return what is final from now on: what no overlap can show again."""
        open_lines = min(seams.MOST, self.latest) if shown_again else 0
        first, self.final = self.final, max(self.final, len(self.lines) - open_lines)
        text = "\n".join(self.lines[first : self.final])
        return "\n" + text if first and self.final > first else text

    def _continue(self, lines: list[str]) -> None:
        """Add lines behind a clean cut where nothing new begins."""
        below = tables.continue_table(self.lines, lines)
        other_table = tables.must_separate(self.lines, lines) and not _same_width(self.lines, lines)
        if below == lines and other_table:
            below = ["", *lines]
        self.lines += below


def _same_width(above: list[str], below: list[str]) -> bool:
    return tables.count_columns(above[-1]) == tables.count_columns(below[0])


def _join_overlap(above: list[str], below: list[str], tile: Tile) -> list[str]:
    """Join over an overlap; a rule that the second reader put into the table is left out."""
    pitch = tile.height / max(1, len(below))
    near = above[-_NEAR:]
    row = next((line for line in reversed(near) if tables.is_row(line)), None)
    start = next((n for n, line in enumerate(below[:_NEAR]) if tables.is_row(line)), None)
    if (
        row is not None
        and start is not None
        and tables.count_columns(row) == tables.count_columns(below[start])
    ):
        below = [x for n, x in enumerate(below) if not (n <= start + 1 and tables.is_rule(x))]
    return seams.join_lines(above, below, tile.overlap / pitch)


def _lines(text: str | None, tile: Tile, gap_mark: Callable[[Tile], str]) -> list[str]:
    """Return the lines of a tile's text, without a fence around all of it."""
    if text is None:
        return [gap_mark(tile)]
    fenced = _FENCED.fullmatch(text)
    inner = (fenced[1] if fenced and "```" not in fenced[1] else text).strip("\n")
    return inner.split("\n") if inner.strip() else []


@dataclass(slots=True)
class _PlacedLine:
    """A line at a height in the image."""

    y: int
    text: str
    #: The tile that its end was read from.
    tile: int


def _side_by_side(row: Sequence[Part], gap_mark: Callable[[Tile], str]) -> list[str]:
    """Join tiles from left to right, line by line where they lie at one height."""
    joined: list[str] = []
    placed: list[_PlacedLine] | None = None
    for tile, text in row:
        lines = _lines(text, tile, gap_mark)
        heights = tile.lines if text is not None and len(lines) == len(tile.lines) else None
        if placed is not None and heights is not None and not tile.breaks:
            _extend(placed, tile, heights, lines)
            continue
        joined += [line.text for line in placed or []]
        placed = None
        if heights is None:
            joined += lines
        else:
            placed = [_PlacedLine(y, x, tile.order) for y, x in zip(heights, lines, strict=True)]
    return joined + [line.text for line in placed or []]


def _extend(
    placed: list[_PlacedLine], tile: Tile, heights: Sequence[int], lines: list[str]
) -> None:
    """Put each line behind the one at its height; one at a new height stands by itself."""
    spaces = [b - a for a, b in pairwise(heights)] + [b.y - a.y for a, b in pairwise(placed)]
    reach = min((space for space in spaces if space > 0), default=tile.height) / 2
    for y, text in zip(heights, lines, strict=True):
        near = min(placed, key=lambda line: abs(line.y - y), default=None)
        if near is not None and abs(near.y - y) <= reach and near.tile == tile.order - 1:
            shared = tile.overlap / tile.width * max(1, len(text.split()))
            near.text = seams.join_words(near.text, text, shared)
            near.y, near.tile = y, tile.order
        else:
            placed.append(_PlacedLine(y, text, tile.order))
    placed.sort(key=lambda line: line.y)

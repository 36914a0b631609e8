"""From the characters of a page to its text: lines in reading order, whichever way they run."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter

import numpy as np

from shared.documents.model import Box, TextLine, TextWord
from shared.documents.text.glyphs import Floats, Glyphs
from shared.documents.text.order import find_blocks
from shared.documents.text.rows import make_lines
from shared.documents.text.words import find_words

_UPRIGHT = 0


def read_layout(glyphs: Glyphs, width: float, height: float) -> tuple[str, tuple[TextLine, ...]]:
    """Return the text of a page of this size and its lines, in reading order.

    What runs in the direction of most characters comes first, then the other directions.
    """
    counts = Counter(glyphs.rotations[glyphs.drawn].tolist())
    blocks: list[list[TextLine]] = []
    for rotation, _ in counts.most_common():
        turned = _turn_upright(glyphs.select(glyphs.rotations == rotation), rotation, width, height)
        parts = find_blocks(find_words(turned))
        # cells of a table whose rows are far apart are told by the rows of other blocks
        lines = iter(make_lines([row for rows in parts for row in rows]))
        for rows in parts:
            block = itertools.islice(lines, len(rows))
            blocks.append([_turn_back(line, rotation, width, height) for line in block])
    text = "\n\n".join("\n".join(line.text for line in block) for block in blocks)
    return text, tuple(line for block in blocks for line in block)


def _turn_upright(glyphs: Glyphs, rotation: int, width: float, height: float) -> Glyphs:
    """Return characters as they stand on the page after it was turned back by `rotation`."""
    if rotation <= _UPRIGHT:
        return glyphs
    return dataclasses.replace(
        glyphs,
        boxes=turn_boxes(glyphs.boxes, -rotation, width, height),
        shapes=turn_boxes(glyphs.shapes, -rotation, width, height),
    )


def turn_boxes(boxes: Floats, degrees: int, width: float, height: float) -> Floats:
    """Return boxes, (n, 4), on a page of this size after it was turned clockwise by `degrees`."""
    x0, y0, x1, y1 = boxes.T
    turned = {
        0: (x0, y0, x1, y1),
        90: (height - y1, x0, height - y0, x1),
        180: (width - x1, height - y1, width - x0, height - y0),
        270: (y0, width - x1, y1, width - x0),
    }
    return np.stack(turned[degrees % 360], axis=1)


def _turn_back(line: TextLine, rotation: int, width: float, height: float) -> TextLine:
    if rotation <= _UPRIGHT:
        return line
    sideways = rotation % 180 != 0
    size = (height, width) if sideways else (width, height)

    def turn(box: Box) -> Box:
        x0, y0, x1, y1 = turn_boxes(np.array([box]), rotation, *size)[0].tolist()
        return x0, y0, x1, y1

    words = tuple(TextWord(word.text, turn(word.box)) for word in line.words)
    return dataclasses.replace(line, box=turn(line.box), words=words, rotation=rotation)

"""Takes some level lines out of an image by their ink alone: most images are upright."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from worker.reader.cropping import find_gaps, find_ink
from worker.reader.detection import Pixels
from worker.reader.recognition import Recognition
from worker.reader.turning.direction import (
    CLEAR,
    SAMPLES,
    certainty,
    is_mostly_wide,
    shorten,
)
from worker.tiling.rows import rows_of_ink

#: Height of a row in pixels, and its letters at least.
_LOWEST, _HIGHEST, _LETTERS = 8, 120, 4
#: Blank rows around a line, in heights.
_MARGIN = 0.25
#: Letters that must be read, for two or three of them may look right in any turn.
_LEAST_READ = 8


def take_level_lines(image: Image.Image) -> list[Pixels]:
    """Return the longest rows of an RGB image that may be upright text, at most SAMPLES."""
    rows = [
        row
        for row in rows_of_ink(image, (0, 0, *image.size))
        if _LOWEST <= row.height <= _HIGHEST and row.letters >= _LETTERS
    ]
    lines = []
    for row in sorted(rows, key=lambda row: -row.letters)[:SAMPLES]:
        margin = max(2, round(_MARGIN * row.height))
        top, bottom = max(0, row.top - margin), min(image.height, row.bottom + margin)
        line = np.asarray(image.crop((0, top, image.width, bottom)))
        blanks = find_gaps(find_ink(line))
        left = blanks[0][1] if blanks and blanks[0][0] == 0 else 0
        right = blanks[-1][0] if blanks and blanks[-1][1] == image.width else image.width
        if left < right:
            lines.append(shorten(line[:, max(0, left - margin) : right + margin]))
    return lines


def are_upright(readings: Sequence[Recognition]) -> bool:
    """Tell whether level lines that were read as they are certainly stand upright."""
    letters = "".join(reading.text for reading in readings)
    # letters of Chinese that lies on its side may be read too, from line to line
    if len(letters) < _LEAST_READ or is_mostly_wide(letters):
        return False
    return certainty(readings) >= CLEAR
